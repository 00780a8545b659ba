package render

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

var update = flag.Bool("update", os.Getenv("UPDATE") != "", "rewrite the golden files")

// golden compares text with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update makes it")
	assert.Equal(t, string(want), got)
}

func asText(t *testing.T, p *state.Plan, o Options) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Text(&b, p, o))
	return b.String()
}

// The objects of the tests look like those of the stage and systemd providers.
type file struct {
	Path    string   `json:"path"`
	Target  string   `json:"target"`
	Type    string   `json:"type"`
	Mode    string   `json:"mode,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Link    string   `json:"link,omitempty"`
	Digest  string   `json:"digest,omitempty"`
	Parents []string `json:"parents,omitempty"`
}

type payload struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
}

type registration struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Provider string `json:"provider"`
}

type unit struct {
	Name       string            `json:"name"`
	Active     bool              `json:"active"`
	Content    string            `json:"content,omitempty"`
	Token      string            `json:"token,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	After      []string          `json:"after,omitempty"`
}

func (f file) Key() string         { return f.Path }
func (p payload) Key() string      { return p.Path }
func (r registration) Key() string { return r.Name }
func (u unit) Key() string         { return u.Name }

func kinds() state.Kinds {
	return state.Kinds{
		state.KindOf[file]("stage", "file", nil), state.KindOf[payload]("stage", "payload", nil),
		state.KindOf[registration]("registry", "registration", nil), state.KindOf[unit]("systemd", "unit", nil),
	}
}

func node(t, name string) state.NodeAddr { return state.NodeAddr{Type: t, Name: name} }

var (
	core    = node(state.StageNode, "stage-1-core-dbus")
	systemd = node(state.PluginNode, "systemd")
)

func in(n state.NodeAddr, kind string, c state.Change) state.Change {
	o := c.After
	if o == nil {
		o = c.Before
	}
	if o == nil {
		o = c.Made
	}
	c.Addr = state.Addr{Node: n, Kind: kind, Key: o.Key()}
	if c.Cause == "" {
		c.Cause = state.CauseConfig
	}
	return c
}

func link(path string) file {
	return file{Path: path, Target: "/usr/local/" + path, Type: "symlink", Link: "/var/lib/op-dbus/staging/stage-1-core-dbus/" + path}
}

func sum(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// contract is the plan that design documents show.
func contract() *state.Plan {
	return &state.Plan{
		Host: "4d5be0b0c6d94c9c9d2e1f2a3b4c5d6e", Hostname: "pve1", Commit: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d", Config: sum("c"),
		Dir: "/srv/config", Unchanged: 5,
		Nodes: []*state.NodePlan{
			{Addr: core, TakesBack: "snapshot and inverse", Changes: []state.Change{
				in(core, "file", state.Change{After: link("bin/op-dbus"), Source: state.Range{File: "/srv/config/main.hcl", Line: 12}}),
				in(core, "registration", state.Change{Before: registration{"net", "0.9.0", "net"}, After: registration{"net", "1.0.0", "net"}}),
			}},
			{Addr: systemd, DependsOn: []state.NodeAddr{core}, Disturbs: []string{"restarts nginx.service"}, Changes: []state.Change{
				in(systemd, "unit", state.Change{Before: unit{Name: "nginx.service"}, After: unit{Name: "nginx.service", Active: true}, Cause: state.CauseDrift}),
			}},
		},
	}
}

// back is a plan that takes back runs: of one node that was there before, and of one that was not.
func back() *state.Plan {
	web := node(state.StageNode, "web")
	gone := in(web, "file", state.Change{Before: link("bin/web")})
	gone.Cause = ""
	return &state.Plan{
		Host: "4d5be0b0c6d94c9c9d2e1f2a3b4c5d6e", Hostname: "pve1", Unchanged: 1, Rollback: "to before run 3",
		Nodes: []*state.NodePlan{
			{Addr: web, Delete: true, TakesBack: "snapshot and inverse", Changes: []state.Change{gone},
				Back: &state.Back{Steps: []state.Step{{Run: 4, Step: 1}, {Run: 3, Step: 2}}}},
			{Addr: core, TakesBack: "snapshot", After: []state.NodeAddr{web},
				Back: &state.Back{Snapshot: "pre-stage-1-core-dbus-20260102-030405", Steps: []state.Step{{Run: 3, Step: 1}}}},
		},
	}
}

const hostile = "evil\x1b[2J\r\u202e\u200b\x9b" + "\u009b\x00 ünï"

// everything has each action, each cause, secrets and foreign text in all places.
func everything() *state.Plan {
	source := state.Range{File: "/srv/config/sub/main.hcl", Line: 7}
	copied := file{Path: "etc/motd", Target: "/etc/motd", Type: "copy", Mode: "0644", Owner: "root", Digest: sum("a")}
	edited := copied
	edited.Digest, edited.Mode = sum("b"), "0600"
	old, secret := unit{Name: "old.service", Active: true}, unit{Name: "app.service", Token: canary + "1", Active: true}
	rotated, spelled := secret, unit{Name: "app.service", Token: canary + "2"}
	rotated.Token, rotated.After = canary+"2", []string{"network.target", "dbus.service", "openvswitch-switch.service", "nss-lookup.target"}
	web := state.NodeAddr{Type: state.StageNode, Name: "web", Key: "a\"\x1b"}
	off := node(state.NetworkNode, "gone")
	return &state.Plan{
		Host: "4d5be0b0c6d94c9c9d2e1f2a3b4c5d6e", Hostname: hostile, Commit: "1a2b3c4d5e6f-dirty", Config: sum("c"), Dir: "/srv/config",
		OnFailure: "rollback", Unchanged: 1234,
		Nodes: []*state.NodePlan{
			{Addr: core, TakesBack: "snapshot", Source: source, Changes: []state.Change{
				in(core, "payload", state.Change{After: payload{"bin/op-dbus", "file", "0755", 195_000_000, sum("d")}}),
				in(core, "payload", state.Change{After: payload{"etc", "directory", "0755", 0, ""}, Cause: state.CauseUpgrade}),
				in(core, "file", state.Change{After: link("bin/op-dbus"), Source: source}),
				in(core, "file", state.Change{After: copied}),
				in(core, "file", state.Change{Before: edited, After: copied, Made: copied, Cause: state.CauseDrift}),
				in(core, "file", state.Change{Before: link("bin/same"), After: link("bin/same"), Note: "it was there"}),
				in(core, "file", state.Change{Before: link("bin/moved"), After: link("bin/moved"), Made: link("bin/moved"), MadeAt: state.Addr{Node: web, Kind: "file", Key: "bin/moved"}}),
				in(core, "file", state.Change{Before: link("bin/old"), Made: link("bin/old")}),
				in(core, "file", state.Change{Before: link("bin/kept"), After: link("bin/kept"), Made: link("bin/kept"), Forget: true}),
				in(core, "file", state.Change{Made: link("bin/lost"), Forget: true, Note: "it is gone already"}),
				in(core, "file", state.Change{Before: link("bin/again"), After: link("bin/again"), Made: link("bin/again"), Replace: true}),
			}},
			{Addr: systemd, TakesBack: "not at all: " + hostile, DependsOn: []state.NodeAddr{core, web}, Disturbs: []string{"restarts app.service", "reloads dbus.service", "restarts a", "restarts b", hostile}, Changes: []state.Change{
				in(systemd, "unit", state.Change{Before: secret, After: rotated, Sensitive: []string{"token"}, Cause: state.CauseTrigger}),
				in(systemd, "unit", state.Change{Before: spelled, Sensitive: []string{"token[0].x"}}),
				in(systemd, "unit", state.Change{After: secret, Sensitive: []string{"token"}}),
				in(systemd, "unit", state.Change{Before: old, After: unit{Name: "old.service", Content: "[Unit]\n"}, Made: old, Replace: true}),
				in(systemd, "unit", state.Change{Before: unit{Name: "n", Content: "[Unit]\nA=1\nB=2\n"}, After: unit{Name: "n", Content: "[Unit]\nA=1\n\tB=" + hostile + "\n"}}),
				in(systemd, "unit", state.Change{Before: unit{Name: hostile, Content: hostile}, After: unit{Name: hostile, Properties: map[string]string{"b": hostile, "a": "1"}}, Note: hostile}),
			}},
			{Addr: web, Delete: true, TakesBack: "snapshot and inverse", Changes: []state.Change{
				in(web, "file", state.Change{Before: link("bin/web")}),
			}},
		},
		Skipped: []state.Skipped{{Addr: node(state.StageNode, "stage-3-openflow"), Reason: "needs feature openflow"}, {Addr: off, Reason: hostile}},
		Outputs: []state.Output{
			{Name: "url", Value: []byte(`"http://pve1/` + "\u202e" + `"`), Type: []byte(`"string"`), Description: "where it is"},
			{Name: "token", Value: []byte(`"` + canary + `"`), Type: []byte(`"string"`), Sensitive: true},
			{Name: "ports", Value: []byte(`{"b": [1, 2], "a": 10000000000000000001}`), Type: []byte(`["object",{"a":"number","b":["tuple",["number","number"]]}]`)},
		},
		Variables: []state.Variable{{Name: "region", Value: []byte(`"eu"`), Description: "where"}, {Name: "password", Value: []byte(`"` + canary + `"`), Sensitive: true}},
		Wanted: []*state.Node{
			{Addr: core, Objects: []state.Declared{
				{Addr: state.Addr{Node: core, Kind: "file", Key: "bin/op-dbus"}, Object: link("bin/op-dbus")},
				{Addr: state.Addr{Node: core, Kind: "registration", Key: "net"}, Object: registration{"net", "1.0.0", "net"}},
			}},
			{Addr: systemd, DependsOn: []state.Dependency{{On: core, Why: "registers it"}}, Objects: []state.Declared{
				{Addr: state.Addr{Node: systemd, Kind: "unit", Key: "app.service"}, Object: secret, Sensitive: []string{"token"}},
			}},
			{Addr: state.NodeAddr{Type: state.StageNode, Name: "web", Key: "b"}},
		},
		Drifted: []state.Change{
			in(core, "file", state.Change{Before: copied, After: edited, Cause: state.CauseDrift}),
			in(systemd, "unit", state.Change{Before: unit{Name: "left.service", Active: true, Token: canary}, Sensitive: []string{"token"}, Cause: state.CauseDrift}),
		},
	}
}

// many is a plan of n files in one node.
func many(n int) *state.Plan {
	p := &state.Plan{Host: "h", Config: sum("c"), Dir: "/srv/config"}
	np := &state.NodePlan{Addr: core, TakesBack: "snapshot and inverse"}
	for i := range n {
		np.Changes = append(np.Changes, in(core, "payload", state.Change{
			After: payload{fmt.Sprintf("share/%05d", i), "file", "0644", int64(i), sum("e")}, Source: state.Range{File: "/srv/config/main.hcl", Line: 3},
		}))
	}
	for i := range n {
		np.Changes = append(np.Changes, in(core, "file", state.Change{
			Before: link(fmt.Sprintf("share/%05d", i)), After: file{Path: fmt.Sprintf("share/%05d", i), Target: "/x", Type: "copy"}, Cause: state.CauseDrift,
		}))
	}
	np.Changes = append(np.Changes, in(core, "registration", state.Change{After: registration{"net", "1.0.0", "net"}}))
	p.Nodes = []*state.NodePlan{np}
	return p
}
