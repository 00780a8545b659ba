package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
)

// triggersOf are an object's, the strongest first: who restarts need not reload.
func triggersOf(o state.Object) []state.Trigger {
	t, ok := o.(state.Triggered)
	if !ok {
		return nil
	}
	all := t.Triggers()
	var found []state.Trigger
	for _, does := range []state.Trigger{state.Restart, state.Reload} {
		if len(all[does]) > 0 {
			found = append(found, does)
		}
	}
	return found
}

// unknownTriggers finds references of triggers to what is not declared.
func unknownTriggers(config *state.Config) state.Diagnostics {
	var diags state.Diagnostics
	var known map[string]bool
	for _, n := range config.Nodes {
		for _, d := range n.Objects {
			for _, does := range triggersOf(d.Object) {
				if known == nil {
					known = declaredNames(config)
				}
				for _, ref := range d.Object.(state.Triggered).Triggers()[does] {
					if !known[ref] {
						diags.Errorf(at(&d, string(does)+"_on"), "Reference to undeclared object", "There is no %s in this configuration.", ref)
					} else if ref == d.Addr.String() {
						diags.Errorf(at(&d, string(does)+"_on"), "Self-reference", "%s cannot %s because of itself.", d.Addr, does)
					}
				}
			}
		}
	}
	return diags
}

func declaredNames(config *state.Config) map[string]bool {
	known := map[string]bool{}
	for _, n := range config.Nodes {
		known[n.Addr.String()] = true
		for _, d := range n.Objects {
			known[d.Addr.String()] = true
		}
	}
	return known
}

// fired is which of an object's triggers fires, and what fires it; nothing where none does.
func fired(a state.Addr, o state.Object, changed func(ref string) []state.Addr) (state.Trigger, []state.Addr) {
	for _, does := range triggersOf(o) {
		var by []state.Addr
		for _, ref := range o.(state.Triggered).Triggers()[does] {
			for _, c := range changed(ref) {
				if c != a && !slices.Contains(by, c) {
					by = append(by, c)
				}
			}
		}
		if len(by) > 0 {
			slices.SortFunc(by, func(a, b state.Addr) int { return cmp.Compare(a.String(), b.String()) })
			return does, by
		}
	}
	return "", nil
}

// acting finds the changes that something refers to, by the node's or the object's address; what only changes hands is none.
func acting(nodes map[state.NodeAddr][]state.Change) func(ref string) []state.Addr {
	found := map[string][]state.Addr{}
	for node, changes := range nodes {
		for _, c := range changes {
			switch c.Action() {
			case state.Create, state.Update, state.Delete, state.Replace:
				found[node.String()] = append(found[node.String()], c.Addr)
				found[c.Addr.String()] = append(found[c.Addr.String()], c.Addr)
			}
		}
	}
	return func(ref string) []state.Addr { return found[ref] }
}

// trigger adds to the changes what is restarted or reloaded because of them, and because of what an earlier run left pending.
func (r *Reconciler) trigger(items []*item, changes map[state.NodeAddr][]state.Change) error {
	var pending map[state.Addr]state.Triggering
	changed := acting(changes)
	for _, it := range items {
		if it.want == nil || it.declared == nil || len(triggersOf(it.want)) == 0 {
			continue
		}
		if pending == nil {
			var err error
			if pending, err = r.pending(); err != nil {
				return err
			}
		}
		does, by := fired(it.addr, it.want, changed)
		if p, ok := pending[it.addr]; ok && does != state.Restart {
			does, by = p.Trigger, p.By
		}
		if does == "" {
			continue
		}
		cs := changes[it.addr.Node]
		at := slices.IndexFunc(cs, func(c state.Change) bool { return c.Addr == it.addr })
		switch {
		case at >= 0:
			cs[at].Trigger, cs[at].TriggeredBy = does, by
			continue
		case !it.settled(): // it differs, and is left so
			continue
		}
		if err := it.decode(); err != nil {
			return err
		}
		changes[it.addr.Node] = append(cs, state.Change{Addr: it.addr, Before: it.live, After: it.made, Made: it.made, Cause: state.CauseTrigger,
			Trigger: does, TriggeredBy: by, Sensitive: it.secret, Source: it.declared.Source})
	}
	return nil
}

// pending are the triggers that what earlier runs have left should have fired.
func (r *Reconciler) pending() (map[state.Addr]state.Triggering, error) {
	pending := map[state.Addr]state.Triggering{}
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(runs) {
		story, err := journal.Read(r.Store.JournalDir(), n)
		if err != nil {
			return nil, fmt.Errorf("cannot tell what is still to be restarted: %w", err)
		}
		if story == nil || story.End == nil {
			continue // it touched nothing, or is taken back before anything else
		}
		for _, t := range story.End.Pending {
			pending[t.Addr] = t
		}
		break
	}
	return pending, nil
}

// triggerings are the triggers among a plan's changes, and those that it fires at its end.
func triggerings(p *state.Plan) []state.Triggering {
	all := slices.Clone(p.Triggers)
	for _, np := range p.Nodes {
		for _, c := range np.Changes {
			if c.Trigger != "" {
				all = append(all, state.Triggering{Addr: c.Addr, Trigger: c.Trigger, By: c.TriggeredBy})
			}
		}
	}
	return all
}

// leftPending are the triggers that are still to be fired when the run has ended: its own whose step did not come to its end although
// that of something which fires them did, and those that were pending before and have not been fired.
func (run *run) leftPending() ([]state.Triggering, error) {
	complete := map[state.NodeAddr]bool{}
	for _, b := range run.steps {
		complete[b.Node] = run.done[b.Step] && !run.undone[b.Step]
	}
	left, err := run.pending()
	if err != nil {
		return nil, err
	}
	for _, t := range run.triggers {
		switch {
		case run.fired || run.rollback == "" && complete[t.Addr.Node]:
			delete(left, t.Addr)
		case slices.ContainsFunc(t.By, func(a state.Addr) bool { return complete[a.Node] }):
			left[t.Addr] = t
		}
	}
	var all []state.Triggering
	for _, t := range left {
		if run.ledger.Node(t.Addr.Node).Made(t.Addr.Local()) != nil { // else nobody looks after it any more
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b state.Triggering) int { return cmp.Compare(a.Addr.String(), b.Addr.String()) })
	return all, nil
}

// fire fires triggers, in order, on what the ledger has.
func (run *run) fire(ctx context.Context, triggers []state.Triggering) error {
	var errs []error
	for _, t := range triggers {
		kind, err := run.kind(t.Addr)
		if err != nil {
			return err
		}
		made, err := kind.Decode(run.ledger.Node(t.Addr.Node).Made(t.Addr.Local()))
		if err != nil {
			return err
		}
		if made == nil {
			continue // it went with what fired it
		}
		run.tell(Event{Node: t.Addr.Node, What: string(t.Trigger) + "ing " + t.Addr.Key})
		c := state.Change{Addr: t.Addr, Before: made, After: made, Made: made, Trigger: t.Trigger}
		if err := kind.Apply(ctx, run.site(t.Addr.Node), []state.Change{c}); err != nil {
			errs = append(errs, fmt.Errorf("cannot %s %s: %w", t.Trigger, t.Addr, err))
		}
	}
	return errors.Join(errs...)
}

// fireAgain fires what steps that have been taken back may have fired: a step goes back before what it was fired for does.
func (run *run) fireAgain(ctx context.Context) error {
	var again []state.Triggering
	any := false
	for _, b := range run.steps {
		if !run.undone[b.Step] {
			continue
		}
		any = true
		for _, c := range b.Changes {
			if c.Trigger == "" {
				continue
			}
			a, err := state.ParseLocal(b.Node, c.Object)
			if err != nil {
				return err
			}
			again = append(again, state.Triggering{Addr: a, Trigger: c.Trigger})
		}
	}
	if run.rollback != "" && any {
		again = append(again, run.triggers...)
	}
	return run.fire(ctx, again)
}

// triggers are those that going back fires: of what is owned afterwards and refers to what changes on the way.
func (b *back) triggers(plans []*state.NodePlan) ([]state.Triggering, error) {
	changes := map[state.NodeAddr][]state.Change{}
	for _, np := range plans {
		changes[np.Addr] = np.Changes
	}
	changed := acting(changes)
	var all []state.Triggering
	for _, node := range b.after.Addrs() {
		for _, e := range b.after.Node(node).Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return nil, err
			}
			kind, err := b.kind(a)
			if err != nil {
				return nil, err
			}
			if !kind.Triggered {
				continue
			}
			o, err := kind.Decode(e.Made)
			if err != nil {
				return nil, err
			}
			if does, by := fired(a, o, changed); does != "" {
				all = append(all, state.Triggering{Addr: a, Trigger: does, By: by})
			}
		}
	}
	return all, nil
}
