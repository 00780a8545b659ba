package registry

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func TestRegistration(t *testing.T) {
	node := state.NodeAddr{Type: state.StageNode, Name: "core"}
	addr := state.Addr{Node: node, Kind: "registration", Key: "lxc"}
	registered := Registration{Name: "lxc", Version: "1.0.0", Provider: "lxc", Stage: "core", Schema: "schemas/lxc.schema.json",
		Digest: "sha256:00", Query: true, Parents: []string{"/etc/op-dbus", "/etc/op-dbus/plugins"}}
	other := registered
	other.Version, other.Apply = "2.0.0", true

	t.Run("keeps the contract", func(t *testing.T) {
		host := providertest.Host(t)
		providertest.Run(t, providertest.Suite{Kind: Kinds(host).For(addr), Addr: addr, A: registered, B: other, Dirs: []string{host.Path("/etc")}})
	})
	t.Run("is written as the registry wants it", func(t *testing.T) {
		assert.Equal(t, `[plugin]
name = "lxc"
version = "1.0.0"
provider = "lxc"
stage = "core"
schema = "schemas/lxc.schema.json"
digest = "sha256:00"
[capabilities]
query = true
apply = false
rollback = false
verify = false
`, string(encode(registered)))
	})
	t.Run("puts back what somebody has edited as it was, byte for byte", func(t *testing.T) {
		host := providertest.Host(t)
		kind := Kinds(host).For(addr)
		path := host.Path("/etc/op-dbus/plugins/lxc.toml")
		for name, content := range map[string]string{"comments": "# by hand\n" + string(encode(registered)), "not TOML": "version 2", "not text": "\xff\x00"} {
			providertest.Write(t, path, content)
			require.NoError(t, os.Chmod(path, 0o640))
			lives, err := kind.Read(t.Context(), []state.Addr{addr}, []state.Object{registered})
			require.NoError(t, err, name)
			require.True(t, kind.Owns(registered, lives[0]), name)
			raw, err := json.Marshal(lives[0])
			require.NoError(t, err, name)
			before, err := kind.Decode(raw)
			require.NoError(t, err, name)
			change := state.Change{Addr: addr, Before: before, After: registered}
			require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{change}), name)
			for range 2 { // as after a cut
				require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{change.Inverse()}), name)
				now, err := os.ReadFile(path)
				require.NoError(t, err, name)
				require.Equal(t, content, string(now), name)
				st, err := os.Stat(path)
				require.NoError(t, err, name)
				require.Equal(t, os.FileMode(0o640), st.Mode(), name)
			}
		}
		providertest.Write(t, path, strings.Repeat("#", limit+1))
		lives, err := kind.Read(t.Context(), []state.Addr{addr}, []state.Object{registered})
		require.NoError(t, err)
		assert.False(t, kind.Owns(registered, lives[0]), "what cannot be put back is left")
	})
	t.Run("leaves what somebody else registered", func(t *testing.T) {
		host := providertest.Host(t)
		kind := Kinds(host).For(addr)
		path := host.Path("/etc/op-dbus/plugins/lxc.toml")
		for content, problem := range map[string]string{
			"not toml":                  "something that is no registration (it is not valid TOML",
			"[plugin]\nname = 'lxc'\n":  "another registration of the plugin",
			"[plugin]\nname = 'evil'\n": "it names the plugin evil",
		} {
			providertest.Write(t, path, content)
			lives, err := kind.Read(t.Context(), []state.Addr{addr}, []state.Object{registered})
			require.NoError(t, err)
			require.NotNil(t, lives[0])
			assert.False(t, kind.Owns(nil, lives[0]))
			_, err = kind.Claim(registered, lives[0])
			require.ErrorContains(t, err, "/etc/op-dbus/plugins/lxc.toml is there already")
			require.ErrorContains(t, err, problem)
			require.ErrorContains(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr, After: registered}}), "appeared since it was planned")
			require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr, Before: registered}}))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, content, string(got))
		}
	})
	t.Run("lists what is registered", func(t *testing.T) {
		host := providertest.Host(t)
		kind := Kinds(host).For(addr)
		listed, ok, err := kind.List(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.Empty(t, listed, "no registry is an empty one")
		require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr, After: registered}}))
		providertest.Write(t, host.Path("/etc/op-dbus/plugins/README"), "")
		listed, _, err = kind.List(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 1)
		assert.True(t, state.Same(registered, listed[0]))
		for _, name := range []string{"org.example._Test-1", ".hidden", "a..b", "-x", "a.", "a b.c"} {
			providertest.Write(t, host.Path("/etc/op-dbus/plugins/"+name+".toml"), "")
		}
		listed, _, err = kind.List(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 2)
		assert.Equal(t, "org.example._Test-1", listed[1].Key(), "a service that was discovered")
	})
	t.Run("plans the directories it needs", func(t *testing.T) {
		kind := Kinds(providertest.Host(t)).For(addr)
		want := registered
		want.Parents = nil
		items := []state.PlannedObject{{Addr: addr, Want: want}}
		require.NoError(t, kind.Plan(t.Context(), items))
		assert.Equal(t, registered, items[0].Want)
	})
}

func TestEncode(t *testing.T) {
	t.Run("what is written is read again", rapid.MakeCheck(func(t *rapid.T) {
		text := rapid.String()
		r := Registration{Name: "p", Version: text.Draw(t, "version"), Schema: text.Draw(t, "schema"), Stage: text.Draw(t, "stage"), Verify: rapid.Bool().Draw(t, "verify")}
		require.Equal(t, r, decode("p", encode(r)))
	}))
}

func TestExpand(t *testing.T) {
	node := func(name string) *state.Node {
		return &state.Node{Addr: state.NodeAddr{Type: state.PluginNode, Name: name}, Self: Plugin{Version: "1"}}
	}
	expand := func(t *testing.T, config *state.Config, n *state.Node) state.Diagnostics {
		return Kinds(providertest.Host(t)).ForNode("plugin").Expand(t.Context(), config, n)
	}
	t.Run("the plugin's own block registers it", func(t *testing.T) {
		n := node("custom")
		require.Empty(t, expand(t, &state.Config{Nodes: []*state.Node{n}}, n))
		require.Len(t, n.Objects, 1)
		assert.Equal(t, Registration{Name: "custom", Version: "1", Provider: "dbus"}, n.Objects[0].Object)
		assert.Equal(t, `plugin.custom.registration["custom"]`, n.Objects[0].Addr.String())
	})
	t.Run("unless a stage does", func(t *testing.T) {
		n := node("custom")
		stage := &state.Node{Addr: state.NodeAddr{Type: state.StageNode, Name: "s"}, Self: lister{}}
		require.Empty(t, expand(t, &state.Config{Nodes: []*state.Node{stage, n}}, n))
		assert.Empty(t, n.Objects)
	})
	t.Run("with what its source has", func(t *testing.T) {
		n := node("custom")
		dir := t.TempDir()
		providertest.Write(t, dir+"/plugin.toml", "[plugin]\nversion = '9'\n")
		providertest.Write(t, dir+"/custom.schema.json", "{}")
		n.Self = Plugin{Source: dir}
		require.Empty(t, expand(t, &state.Config{Nodes: []*state.Node{n}}, n))
		r := n.Objects[0].Object.(Registration)
		assert.Equal(t, "9 custom.schema.json dbus", r.Version+" "+r.Schema+" "+r.Provider)
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", r.Digest)
	})
}

// A lister is a stage that registers custom.
type lister struct{}

func (lister) Key() string         { return "" }
func (lister) Registers() []string { return []string{"custom"} }
