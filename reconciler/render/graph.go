package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A GraphView is a configuration's nodes and what they need, as far as it is drawn. Edges join nodes of it.
type GraphView struct {
	Nodes []GraphNode `json:"nodes"`
	Edges []GraphEdge `json:"edges"`
}

// A GraphNode is a node. Skipped says why it is left out; empty when it is not.
type GraphNode struct {
	Address string `json:"address"`
	Type    string `json:"type"` // stage, plugin or network
	Objects int    `json:"objects"`
	Skipped string `json:"skipped,omitempty"`
}

// A GraphEdge says that From needs To, and why.
type GraphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
	Why  string `json:"why"`
}

// ConfigGraph is a configuration's graph, nodes and edges in the order of their addresses.
func ConfigGraph(c *state.Config) GraphView {
	g := GraphView{Nodes: []GraphNode{}, Edges: []GraphEdge{}}
	for _, n := range slices.SortedFunc(slices.Values(c.Nodes), func(a, b *state.Node) int { return a.Addr.Compare(b.Addr) }) {
		g.Nodes = append(g.Nodes, GraphNode{Address: n.Addr.String(), Type: n.Addr.Type, Objects: len(n.Objects)})
		for _, d := range slices.SortedFunc(slices.Values(n.DependsOn), func(a, b state.Dependency) int { return a.On.Compare(b.On) }) {
			g.Edges = append(g.Edges, GraphEdge{From: n.Addr.String(), To: d.On.String(), Why: d.Why})
		}
	}
	for _, s := range slices.SortedFunc(slices.Values(c.Skipped), func(a, b state.Skipped) int { return a.Addr.Compare(b.Addr) }) {
		g.Nodes = append(g.Nodes, GraphNode{Address: s.Addr.String(), Type: s.Addr.Type, Skipped: s.Reason})
	}
	return g
}

// Graph draws a graph as dot, mermaid or json. Arrows point from a node to what it needs.
func Graph(w io.Writer, format string, g GraphView) error {
	switch format {
	case "dot":
		return write(w, []byte(dot(g)))
	case "mermaid":
		return write(w, []byte(mermaid(g)))
	case "json":
		return writeJSON(w, g)
	}
	return fmt.Errorf("unknown graph format %q; there are dot, mermaid and json", format)
}

// dot is the graph in Graphviz' language. Source: https://graphviz.org/doc/info/lang.html
func dot(g GraphView) string {
	escapes := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	id := func(s string) string { return `"` + escapes.Replace(clean(s, false)) + `"` }
	// In labels, unlike in identifiers, HTML's character references count.
	label := func(lines ...string) string {
		for i, l := range lines {
			lines[i] = strings.ReplaceAll(escapes.Replace(clean(l, false)), "&", "&amp;")
		}
		return `"` + strings.Join(lines, `\n`) + `"`
	}
	shapes := map[string]string{state.StageNode: "box", state.PluginNode: "component", state.NetworkNode: "ellipse"}
	var b strings.Builder
	b.WriteString("digraph opdbus {\n\trankdir = \"RL\";\n")
	for _, n := range g.Nodes {
		style := ""
		if n.Skipped != "" {
			style = ", style = \"dashed\""
		}
		fmt.Fprintf(&b, "\t%s [label = %s, shape = %q%s];\n", id(n.Address), label(n.Address, n.below()), shapes[n.Type], style)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "\t%s -> %s [label = %s];\n", id(e.From), id(e.To), label(e.Why))
	}
	b.WriteString("}\n")
	return b.String()
}

// mermaid is the graph as a Mermaid flowchart. Nodes are numbered: their addresses cannot be identifiers there. Special
// characters are written as #NAME;. Source: https://mermaid.js.org/syntax/flowchart.html
func mermaid(g GraphView) string {
	escapes := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "|", "#124;", `\`, "#92;")
	label := func(s string) string { return escapes.Replace(clean(s, false)) }
	open := map[string]string{state.StageNode: "[", state.PluginNode: "([", state.NetworkNode: "{{"}
	shut := map[string]string{state.StageNode: "]", state.PluginNode: "])", state.NetworkNode: "}}"}
	ids := map[string]string{}
	for i, n := range g.Nodes {
		ids[n.Address] = fmt.Sprintf("n%d", i+1)
	}
	var b strings.Builder
	b.WriteString("flowchart RL\n")
	for i, n := range g.Nodes {
		fmt.Fprintf(&b, "\tn%d%s\"%s<br>%s\"%s\n", i+1, open[n.Type], label(n.Address), label(n.below()), shut[n.Type])
		if n.Skipped != "" {
			fmt.Fprintf(&b, "\tstyle n%d stroke-dasharray: 5 5\n", i+1)
		}
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "\t%s -->|\"%s\"| %s\n", ids[e.From], label(e.Why), ids[e.To])
	}
	return b.String()
}

// below is what stands below a node's address.
func (n GraphNode) below() string {
	if n.Skipped != "" {
		return "skipped: " + n.Skipped
	}
	return Count(n.Objects, "object")
}
