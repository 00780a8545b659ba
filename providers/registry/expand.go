package registry

import (
	"context"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/state"
)

// Expand registers the plugin when no stage does. It comes first: what the plugin looks after needs it.
func (plugins) Expand(ctx context.Context, config *state.Config, node *state.Node, self Plugin) state.Diagnostics {
	if registered(config, node) {
		return nil
	}
	var diags state.Diagnostics
	at := node.Source
	q := plugin.Request{Name: node.Addr.Name, At: at}
	if self.Source != "" {
		files, err := plugin.Files(ctx, self.Source)
		if err != nil {
			if node.Attr != nil {
				at = node.Attr("source")
			}
			diags.Errorf(at, "Cannot read the source of plugin "+node.Addr.Name, "%s.", sentence(err))
			return diags
		}
		q.Source = files
	}
	r, diags := plugin.Register(config, q)
	addr := state.Addr{Node: node.Addr, Kind: "registration", Key: r.Name}
	node.Objects = slices.Insert(node.Objects, 0, state.Declared{Addr: addr, Object: r, Source: node.Source, Attr: node.Attr})
	return diags
}

// registered says whether a stage registers the plugin, or an earlier instance of its block.
func registered(config *state.Config, node *state.Node) bool {
	for _, n := range config.Nodes {
		if n.Addr.Type == state.PluginNode && n.Addr.Name == node.Addr.Name && n.Addr.Compare(node.Addr) < 0 {
			return true
		}
		if lister, ok := n.Self.(interface{ Registers() []string }); ok && slices.Contains(lister.Registers(), node.Addr.Name) {
			return true
		}
	}
	return false
}

// sentence makes an error's text begin like a sentence.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
