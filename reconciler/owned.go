package reconciler

import (
	"context"
	"fmt"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// An Owned object is one that the ledger has: as it was last made, and as it is on the host now, nil when it is missing.
type Owned struct {
	Addr       state.Addr
	Made, Live state.Object
	Sensitive  []string
	Run        int // the last run that changed its node
}

// Drifted says whether the host no longer is what was made.
func (o Owned) Drifted() bool { return !state.Same(o.Made, o.Live) }

// Problem says how what is live differs from what was made; empty when it does not.
func (o Owned) Problem() string {
	switch {
	case !o.Drifted():
		return ""
	case o.Live == nil:
		return "is missing"
	}
	return "is not what was made: " + differing(o.Drift())
}

// Drift is the change that somebody else made: from what opdbus made to what is live.
func (o Owned) Drift() state.Change {
	return state.Change{Addr: o.Addr, Before: o.Made, After: o.Live, Made: o.Made, Cause: state.CauseDrift, Sensitive: o.Sensitive}
}

// Owned reads what the ledger owns at the addresses, or all of it, and what has become of it on the host. It changes nothing
// and needs no configuration.
func (r *Reconciler) Owned(ctx context.Context, l *ledger.Ledger, targets []state.Addr) ([]Owned, error) {
	var all []Owned
	var addrs []state.Addr
	var made []state.Object
	for _, node := range l.Addrs() {
		n := l.Node(node)
		for _, e := range n.Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
			if !contained(targets, a) {
				continue
			}
			kind, err := r.kind(a)
			if err != nil {
				return nil, err
			}
			m, err := kind.Decode(e.Made)
			if err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %s: %w", a, err)
			}
			all = append(all, Owned{Addr: a, Made: m, Sensitive: e.Sensitive, Run: n.Run})
			addrs, made = append(addrs, a), append(made, m)
		}
	}
	lives, err := r.read(ctx, addrs, made)
	if err != nil {
		return nil, err
	}
	for i, live := range lives {
		all[i].Live = live
	}
	return all, nil
}

// contained says whether one of the targets is or contains a; no targets contain everything.
func contained(targets []state.Addr, a state.Addr) bool {
	for _, t := range targets {
		if t.Contains(a) {
			return true
		}
	}
	return len(targets) == 0
}
