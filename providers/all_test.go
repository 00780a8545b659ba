package providers

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/state"
)

func TestAll(t *testing.T) {
	kinds := All(state.Host{})
	t.Run("each kind is there once", func(t *testing.T) {
		seen := map[string]bool{}
		for _, k := range kinds {
			assert.False(t, seen[k.Type()], k.Type())
			seen[k.Type()] = true
		}
	})
	t.Run("what registrations claim of plugins is what this build can do", func(t *testing.T) {
		var provided []string
		for _, name := range plugin.Builtin() {
			if len(kinds.Of(name)) > 0 {
				provided = append(provided, name)
			}
		}
		assert.Equal(t, provided, plugin.Provided())
	})
	t.Run("a stage and a plugin expand, and every plugin can be registered", func(t *testing.T) {
		assert.NotNil(t, kinds.ForNode(state.StageNode))
		assert.NotNil(t, kinds.ForNode(state.PluginNode))
		a := state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "lxc"}, Kind: "registration", Key: "lxc"}
		assert.NotNil(t, kinds.For(a))
	})
	t.Run("what lives in a node's tree says so", func(t *testing.T) {
		var inTree []string
		for _, k := range kinds {
			if k.InTree {
				inTree = append(inTree, k.Type())
			}
		}
		slices.Sort(inTree)
		assert.Equal(t, []string{"stage_marker", "stage_payload"}, inTree)
	})
}
