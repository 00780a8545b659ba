package desired_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kinds of these tests. The language touches no host, so their provider does nothing.

type nothing[T state.Object] struct{}

func (nothing[T]) Read(context.Context, T) (*T, error) { return nil, nil }
func (nothing[T]) Apply(context.Context, *T, *T) error { return nil }

type stage struct {
	Component string   `hcl:"component,optional"`
	Version   string   `hcl:"version,optional"`
	Source    string   `hcl:"source,optional"`
	Image     string   `hcl:"image,optional"`
	Plugins   []string `hcl:"plugins,optional"`
}

func (stage) Key() string { return "" }

type file struct {
	Path       string  `hcl:"path,label"`
	Target     string  `hcl:"target"`
	Type       string  `hcl:"type,optional"`
	Mode       string  `hcl:"mode,optional"`
	Owner      string  `hcl:"owner,optional"`
	Group      string  `hcl:"group,optional"`
	OnConflict string  `hcl:"on_conflict,optional"`
	Content    *string `hcl:"content,optional"`
	Digest     string  // not part of the language
}

func (f file) Key() string { return f.Path }

// payload is made by its provider and is not part of the language.
type payload struct{ Digest string }

func (payload) Key() string { return "payload" }

type plugin struct {
	Version string `hcl:"version,optional"`
	Source  string `hcl:"source,optional"`
}

func (plugin) Key() string { return "" }

type network struct{}

func (network) Key() string { return "" }

type wireguard struct {
	Name       string            `hcl:"name,label"`
	ListenPort *int              `hcl:"listen_port,optional"`
	MTU        int               `hcl:"mtu,optional"`
	Up         *bool             `hcl:"up,optional"`
	Weight     *float64          `hcl:"weight,optional"`
	Options    map[string]string `hcl:"options,optional"`
	Value      any               `hcl:"value,optional"`
	Peers      []peer            `hcl:"peer,block"`
	Match      *match            `hcl:"match,block"`
}

func (w wireguard) Key() string { return w.Name }

type peer struct {
	Name       string   `hcl:"name,label"`
	PublicKey  string   `hcl:"public_key"`
	AllowedIPs []string `hcl:"allowed_ips,optional"`
}

type match struct {
	MAC string `hcl:"mac,optional"`
}

type unit struct {
	Name      string           `hcl:"name,label"`
	Enabled   *bool            `hcl:"enabled,optional"`
	Active    *bool            `hcl:"active,optional"`
	RestartOn state.References `hcl:"restart_on,optional"`
}

func (u unit) Key() string { return u.Name }

func testKinds() state.Kinds {
	return state.Kinds{
		state.KindOf[stage]("stage", "stage", nothing[stage]{}),
		state.KindOf[file]("stage", "file", nothing[file]{}),
		state.KindOf[payload]("stage", "payload", nothing[payload]{}),
		state.KindOf[plugin]("registry", "plugin", nothing[plugin]{}),
		state.KindOf[network]("net", "network", nothing[network]{}),
		state.KindOf[wireguard]("net", "wireguard", nothing[wireguard]{}),
		state.KindOf[unit]("systemd", "unit", nothing[unit]{}),
	}
}

// write makes a directory of files, from their names and texts in turn.
func write(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
	return dir
}

func options(dir string) desired.Options {
	return desired.Options{
		Dir:     dir,
		Facts:   state.Facts{Name: "pve1", Arch: "amd64", Kernel: "6.18.0", OS: "debian", Features: []string{"kvm"}},
		Kinds:   testKinds(),
		Version: "1.4.2",
	}
}

// load loads files that have no mistake.
func load(t testing.TB, files ...string) *state.Config {
	t.Helper()
	return loadDir(t, options(write(t, files...)))
}

func loadDir(t testing.TB, o desired.Options) *state.Config {
	t.Helper()
	config, files, diags := desired.Load(context.Background(), o)
	require.Empty(t, text(t, files, diags))
	require.NotNil(t, config)
	return config
}

// mistakes is the text of the diagnostics that files give.
func mistakes(t testing.TB, files ...string) string {
	t.Helper()
	return mistakesOf(t, options(write(t, files...)))
}

func mistakesOf(t testing.TB, o desired.Options) string {
	t.Helper()
	_, files, diags := desired.Load(context.Background(), o)
	return text(t, files, diags)
}

func text(t testing.TB, files *desired.Files, diags state.Diagnostics) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, files.WriteDiagnostics(&b, diags, 0, false))
	return strings.ReplaceAll(b.String(), "\t", "    ")
}

func TestPlaces(t *testing.T) {
	c := load(t, "main.hcl", `network "vpn" {
  wireguard "wg0" {
    mtu = 1400
    peer "a" {
      public_key = "x"
    }
    peer "b" { public_key = "y" }
  }
}
`)
	at := c.Nodes[0].Objects[0].Attr
	for name, place := range map[string]string{
		"mtu": "main.hcl:3,5", `peer["a"].public_key`: "main.hcl:5,7", `peer["b"].public_key`: "main.hcl:7,16", `peer["a"].endpoint`: "main.hcl:4,5",
		`peer["a"]`: "main.hcl:4,5", `peer["c"].public_key`: "main.hcl:2,3", "peer": "main.hcl:2,3", "": "main.hcl:2,3",
	} {
		assert.Equal(t, place, at(name).String(), name)
	}
}
