package reconciler

import (
	"slices"

	"github.com/opdbus/opdbus/state"
)

// leftOut says whether a kind's objects are left alone: with a root, no live service is spoken to.
func (r *Reconciler) leftOut(k *state.Kind) bool { return k != nil && k.Live && r.Host.Root != "" }

// leaveOutLive takes out of the configuration what cannot be looked at, and says so.
func (r *Reconciler) leaveOutLive(config *state.Config) state.Diagnostics {
	var diags state.Diagnostics
	for _, n := range config.Nodes {
		before := len(n.Objects)
		n.Objects = slices.DeleteFunc(n.Objects, func(d state.Declared) bool { return r.leftOut(r.Kinds.For(d.Addr)) })
		n.Health = slices.DeleteFunc(n.Health, func(c state.Check) bool { return r.Host.Root != "" && c.Unit != "" })
		if out := before - len(n.Objects); out > 0 {
			diags.Warnf(n.Source, "Live state is left out", "%s has %d objects that are states of running services. With --root no service is spoken to, so that they stay as they are.", n.Addr, out)
		}
	}
	return diags
}
