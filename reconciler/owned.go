package reconciler

import (
	"context"
	"encoding/json"
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
	all, _, err := r.entries(l, targets)
	if err != nil {
		return nil, err
	}
	return all, r.look(ctx, all)
}

// entries lists what the ledger owns at the addresses, or all of it, in the ledger's order, without looking at the host; and for each
// the ledger's entry.
func (r *Reconciler) entries(l *ledger.Ledger, targets []state.Addr) (all []Owned, made []json.RawMessage, err error) {
	for _, node := range l.Addrs() {
		n := l.Node(node)
		for _, e := range n.Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
			if !contained(targets, a) {
				continue
			}
			kind, err := r.kind(a)
			if err != nil {
				return nil, nil, err
			}
			if r.leftOut(kind) {
				continue
			}
			m, err := kind.Decode(e.Made)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot read the ledger: %s: %w", a, err)
			}
			all, made = append(all, Owned{Addr: a, Made: m, Sensitive: e.Sensitive, Run: n.Run}), append(made, e.Made)
		}
	}
	return all, made, nil
}

// look reads what has become of objects on the host.
func (r *Reconciler) look(ctx context.Context, objects []Owned) error {
	addrs, made := make([]state.Addr, len(objects)), make([]state.Object, len(objects))
	for i, o := range objects {
		addrs[i], made[i] = o.Addr, o.Made
	}
	lives, err := r.read(ctx, addrs, made)
	if err != nil {
		return err
	}
	for i, live := range lives {
		objects[i].Live = live
	}
	return nil
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
