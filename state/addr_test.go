package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAddr(t *testing.T) {
	t.Run("reads what it prints", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			a := Addr{Node: NodeAddr{
				Type: rapid.SampledFrom([]string{StageNode, PluginNode, NetworkNode}).Draw(t, "type"),
				Name: rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]*`).Draw(t, "name"),
				Key:  rapid.String().Draw(t, "each"),
			}}
			if rapid.Bool().Draw(t, "object") {
				a.Kind, a.Key = "drop_in", rapid.String().Draw(t, "key")
			}
			back, err := ParseAddr(a.String())
			require.NoError(t, err)
			assert.Equal(t, a, back)
		})
	})
	t.Run("no two nodes share a directory", func(t *testing.T) {
		names := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,2}`)
		rapid.Check(t, func(t *rapid.T) {
			node := func(label string) NodeAddr {
				return NodeAddr{Type: rapid.SampledFrom([]string{StageNode, PluginNode, NetworkNode}).Draw(t, label+" type"),
					Name: names.Draw(t, label+" name"), Key: rapid.StringN(0, 2, -1).Draw(t, label+" each")}
			}
			a, b := node("a"), node("b")
			if a != b {
				assert.NotEqual(t, a.Dir(), b.Dir())
			}
			assert.NotContains(t, a.Dir(), "/")
		})
	})
	t.Run("an instance's directory is readable", func(t *testing.T) {
		assert.Equal(t, "web@eu-1.example", NodeAddr{StageNode, "web", "eu-1.example"}.Dir())
		assert.Equal(t, "plugin.net", NodeAddr{PluginNode, "net", ""}.Dir())
		assert.Equal(t, "web@%2E.%2Fx", NodeAddr{StageNode, "web", "../x"}.Dir())
	})
	for _, bad := range []string{"", "stage", "stage.", "pkg.x", `stage.a[`, `stage.a[""]`, `stage.a["x"`, `stage.a.file`, `stage.a.file["x"]y`, `stage.a.["x"]`} {
		t.Run("refuses "+bad, func(t *testing.T) {
			_, err := ParseAddr(bad)
			assert.ErrorContains(t, err, "invalid address")
		})
	}
}

func FuzzParseAddr(f *testing.F) {
	f.Add(`stage.a["x"].file["y"]`)
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAddr(s); err == nil {
			back, err := ParseAddr(a.String())
			require.NoError(t, err)
			assert.Equal(t, a, back)
		}
	})
}
