package render

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// graphed is a configuration whose keys want escaping, with its nodes and edges in an order.
func graphed(turn func(*state.Config)) GraphView {
	odd := state.NodeAddr{Type: state.StageNode, Name: "web", Key: `a"<b>&lt;\N#|` + "`\x1b\u202e"}
	lan := node(state.NetworkNode, "lan")
	c := &state.Config{
		Nodes: []*state.Node{
			{Addr: core, Objects: make([]state.Declared, 1)},
			{Addr: odd, DependsOn: []state.Dependency{{On: core, Why: "dependencies"}}, Objects: make([]state.Declared, 10_000)},
			{Addr: systemd, DependsOn: []state.Dependency{{On: core, Why: "registers it"}, {On: lan, Why: "a reference"}, {On: odd, Why: "a reference"}}},
			{Addr: lan},
		},
		Skipped: []state.Skipped{{Addr: node(state.PluginNode, "openflow"), Reason: `needs feature "openflow"`}},
	}
	turn(c)
	return ConfigGraph(c)
}

func TestGraph(t *testing.T) {
	for _, format := range []string{"dot", "mermaid", "json"} {
		var b bytes.Buffer
		require.NoError(t, Graph(&b, format, graphed(func(*state.Config) {})))
		t.Run("is what is in testdata/graph."+format, func(t *testing.T) { golden(t, "graph."+format, b.String()) })
		t.Run("does not depend on the order of declaration: "+format, func(t *testing.T) {
			var again bytes.Buffer
			require.NoError(t, Graph(&again, format, graphed(func(c *state.Config) {
				slices.Reverse(c.Nodes)
				for _, n := range c.Nodes {
					slices.Reverse(n.DependsOn)
				}
			})))
			assert.Equal(t, b.String(), again.String())
		})
	}
	t.Run("is understood by graphviz", func(t *testing.T) {
		if _, err := exec.LookPath("dot"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("graphviz is not installed")
			}
			t.Skip("graphviz is not installed; the golden file stands for it")
		}
		var b bytes.Buffer
		require.NoError(t, Graph(&b, "dot", graphed(func(*state.Config) {})))
		cmd := exec.Command("dot", "-Tplain")
		cmd.Stdin = &b
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Equal(t, 4, bytes.Count(out, []byte("\nedge ")))
	})
	t.Run("names the formats there are", func(t *testing.T) {
		assert.EqualError(t, Graph(&bytes.Buffer{}, "svg", GraphView{}), `unknown graph format "svg"; there are dot, mermaid and json`)
	})
}

func TestTable(t *testing.T) {
	t.Run("aligns columns and escapes cells", func(t *testing.T) {
		var b bytes.Buffer
		require.NoError(t, Table(&b, []string{"NAME", "SIZE", "NODE"}, [][]string{
			{"pre-stage-1-20251117-140522", Bytes(195_000_000), "stage-1-core-dbus"},
			{"ü\x1b[31m\tx\n", Bytes(0), ""},
		}))
		assert.Equal(t, `NAME                         SIZE    NODE
pre-stage-1-20251117-140522  195 MB  stage-1-core-dbus
ü\x1b[31m\tx\n               0 B
`, b.String())
	})
	t.Run("needs no headers", func(t *testing.T) {
		var b bytes.Buffer
		require.NoError(t, Table(&b, nil, [][]string{{"a", "b"}, {"aaa", "c"}}))
		assert.Equal(t, "a    b\naaa  c\n", b.String())
	})
}
