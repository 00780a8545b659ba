package reconciler

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
)

// Since says since when objects are no longer as they were made, in order, as far as that can be told: when what stands
// there last changed. Zero where nothing tells, and where the host names a time before the run that made the object, at which
// nobody can have changed it: a clock was set, or another file system is mounted over it.
func (r *Reconciler) Since(ctx context.Context, drifted []Owned) ([]time.Time, error) {
	if len(drifted) == 0 {
		return nil, nil
	}
	made, err := r.madeAt(drifted)
	if err != nil {
		return nil, err
	}
	since := make([]time.Time, len(drifted))
	for i, o := range drifted {
		from, known := made[o.Addr]
		if !known {
			continue
		}
		kind, err := r.kind(o.Addr)
		if err != nil {
			return nil, err
		}
		changed, err := kind.Changed(ctx, o.Addr, o.Made)
		if err != nil {
			return nil, fmt.Errorf("cannot tell since when %s is as it is: %w", o.Addr, err)
		}
		if !changed.Before(from) {
			since[i] = changed
		}
	}
	return since, nil
}

// madeAt is when the last run that had to do with each of the objects began, whether it made it, took it back or put it back.
// The journals are read from the last one until all objects are found; one that cannot be read may be the one that it was, so
// that nothing is said of what is only in earlier ones.
func (r *Reconciler) madeAt(objects []Owned) (map[state.Addr]time.Time, error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	sought := map[state.NodeAddr]map[string]bool{}
	left := 0
	for _, o := range objects {
		if sought[o.Addr.Node] == nil {
			sought[o.Addr.Node] = map[string]bool{}
		}
		sought[o.Addr.Node][o.Addr.Local()] = true
		left++
	}
	made := make(map[state.Addr]time.Time, len(objects))
	for _, number := range slices.Backward(runs) {
		if left == 0 {
			break
		}
		story, err := journal.Read(r.Store.JournalDir(), number)
		if err != nil {
			break
		}
		if story == nil {
			continue
		}
		for _, b := range story.Steps {
			of := sought[b.Node]
			for _, c := range b.Changes {
				if !of[c.Object] {
					continue
				}
				a, err := state.ParseLocal(b.Node, c.Object)
				if err != nil {
					return nil, fmt.Errorf("cannot read the journal of run %d: %w", number, err)
				}
				made[a] = story.Run.Started
				delete(of, c.Object)
				left--
			}
		}
	}
	return made, nil
}
