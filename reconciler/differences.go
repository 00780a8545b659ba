package reconciler

import (
	"context"

	"github.com/opdbus/opdbus/state"
)

// Differences compares what a prepared configuration declares with the host, whoever made what is there: from what is live to what is
// wanted, for the nodes that pick says. It needs no ledger, and changes nothing. The number is of the objects that were compared.
func (r *Reconciler) Differences(ctx context.Context, config *state.Config, pick func(state.NodeAddr) bool) ([]state.Change, int, error) {
	var addrs []state.Addr
	var wants []state.Object
	var declared []*state.Declared
	for _, n := range config.Nodes {
		if !pick(n.Addr) {
			continue
		}
		for i := range n.Objects {
			d := &n.Objects[i]
			addrs, wants, declared = append(addrs, d.Addr), append(wants, d.Object), append(declared, d)
		}
	}
	lives, err := r.read(ctx, addrs, wants)
	if err != nil {
		return nil, 0, err
	}
	var changes []state.Change
	for i, live := range lives {
		if !state.Same(live, wants[i]) {
			changes = append(changes, state.Change{Addr: addrs[i], Before: live, After: wants[i], Cause: state.CauseConfig, Sensitive: declared[i].Sensitive, Source: declared[i].Source})
		}
	}
	return changes, len(addrs), nil
}
