// Package reconciler compares what is wanted with what is there, makes the difference so, and takes it back: plan, apply,
// undo, recover, verify, fsck, doctor. It knows no provider and no HCL: it works on the kinds it is given. It may import graph, state
// and the packages below state except state/desired.
package reconciler

import (
	"github.com/hashicorp/go-hclog"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

// A Reconciler is what plans and applies on one host.
type Reconciler struct {
	Kinds state.Kinds
	Host  state.Host
	Store store.Layout
	// Version is opdbus' own; MachineID and Hostname are the host's.
	Version             string
	MachineID, Hostname string
	// Key is the store's, for the fingerprints of secrets in plans' digests; nil where there is no store yet.
	Key []byte
	Log hclog.Logger
	// Progress is told what a run is doing; nil: nobody is.
	Progress func(Event)
}

// An Event is something that a run does, for who watches it.
type Event struct {
	Node state.NodeAddr
	What string // "begun", "done", "failed", "taking back", "taken back", "not taken back", "recovering"
	Err  error
	// Changes counts what the node's step changes.
	Changes int
}

func (r *Reconciler) tell(e Event) {
	if r.Progress != nil {
		r.Progress(e)
	}
}
