package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// PlanOptions say what a plan is about.
type PlanOptions struct {
	// Targets restrict the plan to these nodes and objects and to what they need; Excludes leave out nodes, with what
	// needs them, and objects. Replaces are deleted and made again.
	Targets, Excludes, Replaces []state.Addr
	// Destroy wants nothing of what is owned.
	Destroy bool
}

// Plan compares a prepared configuration with the ledger and the host. It changes nothing. Conflicts with what stands on
// the host are diagnostics, all of them at once.
func (r *Reconciler) Plan(ctx context.Context, config *state.Config, owned *ledger.Ledger, o PlanOptions) (*state.Plan, state.Diagnostics, error) {
	selected, diags := choose(config, owned, o)
	if diags.HasErrors() {
		return nil, diags, nil
	}
	items, err := r.gather(config, owned, selected, o)
	if err != nil {
		return nil, nil, err
	}
	if err := r.readItems(ctx, items); err != nil {
		return nil, nil, err
	}
	var mistakes state.DiagnosticsError
	if err := r.complete(ctx, items); errors.As(err, &mistakes) {
		return nil, append(diags, mistakes.Diagnostics...), nil
	} else if err != nil {
		return nil, nil, err
	}
	changes := make(map[state.NodeAddr][]state.Change)
	var drifted []state.Change
	count := map[state.NodeAddr]int{} // at most so many changes
	for _, it := range items {
		if !it.settled() {
			count[it.addr.Node]++
		}
	}
	upgraded := r.upgraded(config, owned, items)
	given, housing := leaving(items), r.housing(owned)
	for _, it := range items {
		if err := cmp.Or(it.taken(given), it.used(items)); err != nil {
			diags.Errorf(it.source("target"), "Conflict at "+it.addr.String(), "%s.", sentence(err))
			continue
		}
		c, changed, err := it.change(o, housing)
		if conflict, ok := asConflict(err); ok {
			diags.Errorf(it.source("target"), "Conflict at "+it.addr.String(), "%s", conflict)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if c.Cause == state.CauseConfig && c.Made != nil && it.want != nil && upgraded(it.addr.Node) {
			c.Cause = state.CauseUpgrade
		}
		if d, ok := it.drift(); ok {
			drifted = append(drifted, d)
		}
		if changed {
			if changes[it.addr.Node] == nil {
				changes[it.addr.Node] = make([]state.Change, 0, count[it.addr.Node])
			}
			changes[it.addr.Node] = append(changes[it.addr.Node], c)
		}
	}
	if err := r.trigger(items, changes); err != nil {
		return nil, nil, err
	}
	diags = append(diags, protected(config, owned, changes, o)...)
	if diags.HasErrors() {
		return nil, diags, nil
	}
	retention := config.Settings.Snapshots
	var refused state.Diagnostics
	if retention.Subvolumes, refused = r.subvolumes(config.Settings); len(refused) > 0 {
		if diags = append(diags, refused...); diags.HasErrors() {
			return nil, diags, nil
		}
	}
	plan := &state.Plan{
		Host: r.MachineID, Hostname: r.Hostname,
		Config: config.Digest, Dir: config.Dir, OnFailure: config.Settings.OnFailure, Run: owned.Run, Retention: retention,
		Skipped: config.Skipped, Outputs: config.Outputs, Variables: config.Variables, Wanted: config.Nodes, Drifted: drifted,
	}
	if plan.Nodes, err = r.order(config, owned, changes, o.Destroy); err != nil {
		return nil, nil, err
	}
	for _, n := range config.Nodes {
		if _, changed := changes[n.Addr]; !changed {
			plan.Unchanged++
		}
	}
	return plan, diags, nil
}

// upgraded says of a node whether its configuration comes to something else only because another version of opdbus made it
// into something else before: the same configuration was applied last, and no file of the node's has been edited since.
func (r *Reconciler) upgraded(config *state.Config, owned *ledger.Ledger, items []*item) func(state.NodeAddr) bool {
	if owned.Opdbus == "" || owned.Opdbus == r.Version || owned.Config != config.Digest {
		return func(state.NodeAddr) bool { return false }
	}
	edited := map[state.NodeAddr]bool{}
	for _, it := range items {
		if it.kind.InTree && !it.settled() {
			edited[it.addr.Node] = true
		}
	}
	return func(n state.NodeAddr) bool { return !edited[n] }
}

// readItems reads the live state of all items.
func (r *Reconciler) readItems(ctx context.Context, items []*item) error {
	addrs := make([]state.Addr, len(items))
	wants := make([]state.Object, len(items))
	for i, it := range items {
		addrs[i], wants[i] = it.addr, it.want
		if it.want == nil {
			wants[i] = it.made
		}
	}
	lives, err := r.read(ctx, addrs, wants)
	if err != nil {
		return err
	}
	for i, live := range lives {
		items[i].setLive(live)
	}
	return nil
}

// complete lets the kinds with something to change complete what is wanted there, and reads again what that is about.
// Kinds where all is well are not asked, which is what keeps a plan without changes cheap.
func (r *Reconciler) complete(ctx context.Context, items []*item) error {
	busy := map[*state.Kind]bool{}
	for _, it := range items {
		if !it.settled() {
			busy[it.kind] = true
		}
	}
	var again []*item
	for _, kind := range r.Kinds {
		if !busy[kind] || !kind.IsPlanner() {
			continue
		}
		var of []*item
		var planned []state.PlannedObject
		for _, it := range items {
			if it.kind != kind {
				continue
			}
			if err := it.decode(); err != nil {
				return err
			}
			of = append(of, it)
			planned = append(planned, state.PlannedObject{Addr: it.addr, Made: it.made, Live: it.live, Want: it.want})
		}
		if err := kind.Plan(ctx, planned); err != nil {
			return cmp.Or(blame(ctx, kind, of), err)
		}
		for i, it := range of {
			unsettled := !it.settled()
			it.setWant(planned[i].Want)
			// Where there is nothing and never was, there is nothing for a completed want to find.
			if unsettled && it.want != nil && (it.live != nil || it.owned()) {
				again = append(again, it)
			}
		}
	}
	return r.readItems(ctx, again)
}

// protected refuses what prevent_destroy forbids.
func protected(config *state.Config, owned *ledger.Ledger, changes map[state.NodeAddr][]state.Change, o PlanOptions) state.Diagnostics {
	var diags state.Diagnostics
	for _, n := range config.Nodes {
		if !n.Lifecycle.PreventDestroy {
			continue
		}
		for _, c := range changes[n.Addr] {
			act := c.Action()
			if act != state.Replace && !(o.Destroy && act == state.Delete) {
				continue
			}
			diags = append(diags, state.Diagnostic{Summary: n.Addr.String() + " is protected", Subject: n.Source, Refusal: true,
				Detail: fmt.Sprintf("The plan would destroy %s, and the node's lifecycle has prevent_destroy = true. Take that away first, or leave the node out with --exclude %s.", c.Addr, n.Addr)})
			break
		}
	}
	for _, s := range config.Skipped {
		if s.PreventDestroy && slices.ContainsFunc(changes[s.Addr], func(c state.Change) bool { return c.Action() == state.Delete }) {
			diags = append(diags, state.Diagnostic{Summary: s.Addr.String() + " is protected", Subject: s.Source, Refusal: true,
				Detail: fmt.Sprintf("The node is left out (%s), so that what was made for it would be destroyed, and its lifecycle has prevent_destroy = true. Take that away first.", s.Reason)})
		}
	}
	return diags
}
