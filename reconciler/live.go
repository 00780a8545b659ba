package reconciler

import (
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// leftOut says whether a kind's objects are left alone: with a root, no live service is spoken to.
func (r *Reconciler) leftOut(k *state.Kind) bool { return k != nil && k.Live && r.Host.Root != "" }

// attend begins what kinds do for the length of a run, and returns what ends it. A run goes on without: no host has all the services.
func (run *run) attend(ctx context.Context) (leave func()) {
	var leaves []func()
	for _, k := range run.Kinds {
		if run.leftOut(k) {
			continue
		}
		var declared []state.Object
		for _, n := range run.plan.Wanted {
			for _, d := range n.Objects {
				if run.Kinds.For(d.Addr) == k {
					declared = append(declared, d.Object)
				}
			}
		}
		leave, err := k.Attend(ctx, declared, fmt.Sprintf("run %d is under way", run.number))
		if err != nil {
			run.Log.Info("the run goes on without this", "error", err)
		}
		if leave != nil {
			leaves = append(leaves, leave)
		}
	}
	return func() {
		for _, leave := range leaves {
			leave()
		}
	}
}

// leaveOutLive takes out of the configuration what cannot be looked at, and says so.
func (r *Reconciler) leaveOutLive(config *state.Config) state.Diagnostics {
	var diags state.Diagnostics
	for _, n := range config.Nodes {
		before := len(n.Objects)
		n.Objects = slices.DeleteFunc(n.Objects, func(d state.Declared) bool { return r.leftOut(r.Kinds.For(d.Addr)) })
		n.Health = slices.DeleteFunc(n.Health, func(c state.Check) bool { return r.Host.Root != "" && (c.Unit != "" || c.DBusProperty != nil) })
		if out := before - len(n.Objects); out > 0 {
			diags.Warnf(n.Source, "Live state is left out", "%s has %d objects that are states of running services. With --root no service is spoken to, so that they stay as they are.", n.Addr, out)
		}
	}
	return diags
}
