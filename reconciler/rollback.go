package reconciler

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// RollbackOptions say what is taken back. One of them is set.
type RollbackOptions struct {
	// Node goes back by the last run that changed it. Cascade takes back with it what depends on it.
	Node    state.NodeAddr
	Cascade bool
	// Snapshot names the one to which everything goes back.
	Snapshot string
	// Run is taken back with all that came after it; 0 with All: the first.
	Run int
	All bool
	// Last takes back the last run that has an effect.
	Last bool
}

// A DependentsError says that nodes are in the way of taking back others.
type DependentsError struct {
	Node    state.NodeAddr
	Reasons []string // such as "stage.b depends on it"
}

func (e *DependentsError) Error() string {
	return fmt.Sprintf("%s cannot be taken back alone: %s; take that back first, or give --cascade to take both back", e.Node, strings.Join(e.Reasons, ", "))
}

// Rollback plans taking back former runs. It needs no configuration and changes nothing.
func (r *Reconciler) Rollback(ctx context.Context, owned *ledger.Ledger, o RollbackOptions) (*state.Plan, error) {
	b := &back{Reconciler: r, owned: owned}
	var err error
	if o.Node != (state.NodeAddr{}) {
		err = b.node(o)
	} else {
		err = b.everything(o)
	}
	if err != nil {
		return nil, err
	}
	return b.plan(ctx)
}

// A back is a rollback that is being planned.
type back struct {
	*Reconciler
	owned *ledger.Ledger
	to    string     // what it goes back to
	steps []pastStep // that are taken back, last first
	whole bool       // that is everything since a point
	after *ledger.Ledger
}

// everything takes back all that happened since a point.
func (b *back) everything(o RollbackOptions) (err error) {
	var from state.Step
	switch {
	case o.Snapshot != "":
		if from, err = b.sinceSnapshot(o.Snapshot); err != nil {
			return err
		}
		b.to = "to snapshot " + o.Snapshot
	case o.All:
		b.to = "to before the first run"
	default:
		if from.Run = o.Run; o.Last {
			last, err := b.last(state.NodeAddr{})
			if err != nil {
				return err
			}
			if err := b.noRestoreSince(last.Run); err != nil {
				return err
			}
			from.Run = last.Run
		} else if _, err := b.stepsOf(o.Run); err != nil {
			return err
		}
		b.to = fmt.Sprintf("to before run %d", from.Run)
	}
	b.whole = true
	b.steps, err = b.stepsSince(from)
	return err
}

// sinceSnapshot is the first step that came after a snapshot. One that a step began with has that step after it.
func (b *back) sinceSnapshot(name string) (from state.Step, err error) {
	infos, err := b.Snapshots()
	if err != nil {
		return from, err
	}
	i := slices.IndexFunc(infos, func(i snapshot.Info) bool { return i.Name == name })
	switch {
	case i < 0:
		return from, fmt.Errorf("there is no snapshot %s; opdbus snapshots lists those that there are", name)
	case infos[i].Problem != "":
		return from, fmt.Errorf("cannot go back to snapshot %s: %s", name, infos[i].Problem)
	}
	if of := infos[i].Subvolume; of != "" {
		return from, fmt.Errorf("snapshot %s is of the subvolume %s, which no rollback of nodes changes; opdbus restore --subvolume %[1]s restores that", name, of)
	}
	from = state.Step{Run: infos[i].Run, Step: infos[i].Step}
	if infos[i].Phase == snapshot.Post {
		from.Step++
	}
	return from, nil
}
