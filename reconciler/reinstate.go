package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Reinstatement is what Reinstate has done.
type Reinstatement struct {
	Made []state.Addr
	// Others are objects of which somebody else's stand in the place.
	Others []state.Addr
}

// ReinstateOptions say what is reinstated.
type ReinstateOptions struct {
	// Changed has what is there, but not as it was made, made so too: as the kernel sets it anew when it boots.
	Changed bool
}

// Reinstate makes again what goes by itself, when the host boots or a daemon ends: the volatile objects that opdbus owns, as the ledger has
// them. What cannot be made does not keep the rest from being made. Its caller holds the lock.
func (r *Reconciler) Reinstate(ctx context.Context, o ReinstateOptions) (found Reinstatement, err error) {
	owned, err := r.volatile()
	if err != nil || len(owned) == 0 {
		return found, err
	}
	missing, err := r.reinstatable(ctx, owned, o, &found)
	if err != nil {
		return found, err
	}
	var errs []error
	for from := 0; from < len(missing); {
		to := from + 1
		for to < len(missing) && missing[to].Addr.Node == missing[from].Addr.Node {
			to++
		}
		for _, b := range r.batches(missing[from:to]) {
			made, err := r.reinstate(ctx, b)
			found.Made, errs = append(found.Made, made...), append(errs, err)
		}
		from = to
	}
	return found, errors.Join(errs...)
}

// Reinstatable says whether there is something that Reinstate would make.
func (r *Reconciler) Reinstatable(ctx context.Context, o ReinstateOptions) (bool, error) {
	owned, err := r.volatile()
	if err != nil || len(owned) == 0 {
		return false, err
	}
	missing, err := r.reinstatable(ctx, owned, o, &Reinstatement{})
	return len(missing) > 0, err
}

// volatile are the owned objects of volatile kinds, in the order in which they can be made.
func (r *Reconciler) volatile() (all []state.Change, err error) {
	led, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return nil, err
	}
	seen := map[state.NodeAddr]bool{}
	var visit func(addr state.NodeAddr) error
	visit = func(addr state.NodeAddr) error {
		node := led.Node(addr)
		if node == nil || seen[addr] {
			return nil
		}
		seen[addr] = true
		for _, on := range node.DependsOn {
			if err := visit(on); err != nil {
				return err
			}
		}
		for _, e := range node.Objects {
			a, err := state.ParseLocal(addr, e.Object)
			if err != nil {
				return err
			}
			kind, err := r.kind(a)
			if err != nil || !kind.Volatile { // what another version of opdbus made is told by all that plan
				continue
			}
			made, err := kind.Decode(e.Made)
			if err != nil {
				return err
			}
			all = append(all, state.Change{Addr: a, After: made, Made: made})
		}
		return nil
	}
	for _, addr := range led.Addrs() {
		if err := visit(addr); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// reinstatable are those that are to be made.
func (r *Reconciler) reinstatable(ctx context.Context, owned []state.Change, o ReinstateOptions, found *Reinstatement) (missing []state.Change, err error) {
	lives, err := r.readChanges(ctx, owned, aim)
	if err != nil {
		return nil, err
	}
	for i, c := range owned {
		switch kind := r.Kinds.For(c.Addr); {
		case state.Same(lives[i], c.After) || lives[i] != nil && !o.Changed && !lapsed(lives[i]):
			continue
		case lives[i] != nil && !kind.Owns(c.Made, lives[i]):
			found.Others = append(found.Others, c.Addr)
			continue
		}
		c.Before = lives[i]
		missing = append(missing, c)
	}
	return missing, nil
}

func lapsed(live state.Object) bool {
	l, ok := live.(state.Lapser)
	return ok && l.Lapsed()
}

// reinstate makes a batch, or as much of it as can be made.
func (r *Reconciler) reinstate(ctx context.Context, b batch) (made []state.Addr, err error) {
	err = b.kind.Apply(ctx, state.Site{Node: b.changes[0].Addr.Node}, b.changes)
	switch {
	case err == nil:
		for _, c := range b.changes {
			made = append(made, c.Addr)
		}
		return made, nil
	case len(b.changes) == 1:
		return nil, fmt.Errorf("%s: %w", b.changes[0].Addr, err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	middle := len(b.changes) / 2
	first, one := r.reinstate(ctx, batch{b.kind, b.changes[:middle]})
	second, other := r.reinstate(ctx, batch{b.kind, b.changes[middle:]})
	return append(first, second...), errors.Join(one, other)
}
