package state_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

type numbered struct {
	Number int `json:"number"`
}

func (numbered) Key() string { return "n" }

type numbers struct{}

func (numbers) Read(context.Context, numbered) (*numbered, error) { return nil, nil }
func (numbers) Apply(context.Context, *numbered, *numbered) error { return nil }

func TestToShow(t *testing.T) {
	kinds := state.Kinds{state.KindOf("stage", "number", numbers{})}
	node := state.NodeAddr{Type: state.StageNode, Name: "core"}
	known, unknown := state.Addr{Node: node, Kind: "number", Key: "n"}, state.Addr{Node: node, Kind: "letter", Key: "a"}

	t.Run("gives an object of its kind where it is one", func(t *testing.T) {
		assert.Equal(t, numbered{7}, kinds.ToShow(known, json.RawMessage(`{"number":7}`)))
	})
	t.Run("gives what is of no kind, or masked, as it was written", func(t *testing.T) {
		for addr, written := range map[state.Addr]string{unknown: `{"b":1,"a":2}`, known: `{"number":{"sensitive":true}}`} {
			o := kinds.ToShow(addr, json.RawMessage(written))
			again, err := json.Marshal(o)
			require.NoError(t, err)
			assert.Equal(t, addr.Key+" "+written, o.Key()+" "+string(again))
		}
	})
	t.Run("gives nothing for nothing", func(t *testing.T) {
		assert.Nil(t, kinds.ToShow(known, nil))
		assert.Nil(t, kinds.ToShow(unknown, json.RawMessage("null")))
	})
}
