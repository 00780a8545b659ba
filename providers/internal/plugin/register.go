package plugin

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/opdbus/opdbus/providers/internal/closest"
	"github.com/opdbus/opdbus/state"
)

// A File is one of those that belong to a plugin.
type File struct {
	Path, Digest string
	Read         func() ([]byte, error)
}

// A Request asks for the registration of a plugin.
type Request struct {
	Name string
	// Stage is the stage that registers it and StageVersion its version; both are empty when its own block does.
	Stage, StageVersion string
	// Payload are the stage's files and Source those of the plugin block's source, both in the order of their paths.
	Payload, Source []File
	At              state.Range
}

// Register says what a plugin's registration comes to.
func Register(config *state.Config, q Request) (Registration, state.Diagnostics) {
	r := Registration{Name: q.Name, Stage: q.Stage}
	var diags state.Diagnostics
	block, declared := BlockOf(config, q.Name)
	files, description := q.files()
	r.Schema, r.Digest = schema(q), digest(files)
	r.Version = block.Version
	if description != nil {
		v, err := version(*description)
		if err != nil {
			diags.Errorf(q.At, "Invalid "+description.Path, "The plugin's description cannot be read: %s.", err)
		}
		r.Version = cmp.Or(r.Version, v)
	}
	r.Version = cmp.Or(r.Version, q.StageVersion)
	switch {
	case slices.Contains(Builtin(), q.Name):
		r.Provider = q.Name
	case declared || description != nil:
		r.Provider = "dbus"
	default:
		diags.Errorf(q.At, fmt.Sprintf("Unknown plugin %q", q.Name),
			"There is no built-in plugin of that name, the stage has no plugins/%s/plugin.toml, and no plugin block declares it.%s",
			q.Name, closest.Hint(q.Name, Builtin()))
	}
	if capable(q.Name) {
		r.Query, r.Apply, r.Rollback, r.Verify = true, true, true, true
	}
	return r, diags
}

// BlockOf finds the plugin block of a plugin; of several instances, the first.
func BlockOf(config *state.Config, name string) (Block, bool) {
	for _, n := range config.Nodes {
		if n.Addr.Type == state.PluginNode && n.Addr.Name == name {
			b, _ := n.Self.(Block)
			return b, true
		}
	}
	return Block{}, false
}

// files are the plugin's own, and its description among them.
func (q Request) files() (own []File, description *File) {
	dir := "plugins/" + q.Name + "/"
	for _, f := range q.Payload {
		if strings.HasPrefix(f.Path, dir) || f.Path == "schemas/"+q.Name+".schema.json" {
			own = append(own, f)
		}
	}
	for _, f := range q.Source {
		f.Path = "source/" + f.Path
		own = append(own, f)
	}
	for i, f := range own {
		if f.Path == dir+"plugin.toml" || f.Path == "source/plugin.toml" {
			description = &own[i]
			break
		}
	}
	return own, description
}

func schema(q Request) string {
	has := func(files []File, path string) bool {
		return slices.ContainsFunc(files, func(f File) bool { return f.Path == path })
	}
	for _, path := range []string{"schemas/" + q.Name + ".schema.json", "plugins/" + q.Name + "/" + q.Name + ".schema.json"} {
		if has(q.Payload, path) {
			return path
		}
	}
	if path := q.Name + ".schema.json"; has(q.Source, path) {
		return path
	}
	return ""
}

// digest is one over all the plugin's files; empty when it has none.
func digest(files []File) string {
	if len(files) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%s\n", f.Path, f.Digest)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// version reads [plugin] version of a plugin.toml.
func version(f File) (string, error) {
	data, err := f.Read()
	if err != nil {
		return "", err
	}
	var description struct {
		Plugin struct {
			Version string `toml:"version"`
		} `toml:"plugin"`
	}
	if err := toml.Unmarshal(data, &description); err != nil {
		return "", err
	}
	return description.Plugin.Version, nil
}
