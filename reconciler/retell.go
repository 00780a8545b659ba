package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// A PastStep is a node's step in a run that is over, with the snapshots that were taken before and after its changes.
type PastStep struct {
	PastNode
	Deleted   bool // with its subvolume
	Changes   []state.Change
	Pre, Post string
}

// Retell tells what a run changed, by its journal. What is or was sensitive is named in the changes.
func (r *Reconciler) Retell(run int, l *ledger.Ledger) (*PastRun, []PastStep, error) {
	story, err := journal.Read(r.Store.JournalDir(), run)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("there is no run %d; opdbus history lists the runs that there were", run)
	case err != nil:
		return nil, nil, err
	case story == nil:
		return nil, nil, fmt.Errorf("run %d was cut off before it began; it touched nothing", run)
	}
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, nil, err
	}
	all, _, err := r.stories()
	if err != nil {
		return nil, nil, err
	}
	past := pastRun(story, rolledBack(all))
	steps := make([]PastStep, len(story.Steps))
	for i, b := range story.Steps {
		steps[i] = PastStep{PastNode: past.Nodes[i], Deleted: b.Delete, Pre: b.Pre, Post: story.Done[b.Step].Post}
		for _, jc := range b.Changes {
			a, err := state.ParseLocal(b.Node, jc.Object)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
			}
			c := state.Change{Addr: a, Before: r.Kinds.ToShow(a, jc.Before), After: r.Kinds.ToShow(a, jc.After), Forget: jc.Forget, Replace: jc.Replace, Trigger: jc.Trigger}
			if jc.Made != nil {
				c.Made = r.Kinds.ToShow(a, jc.Made.Made)
			}
			if jc.Origin != nil {
				c.MadeAt = jc.Origin.Addr
			}
			if jc.HandsTo != nil {
				c.HandsTo = *jc.HandsTo
			}
			if c.Sensitive, err = secrets.of(a, run, c.Before, c.After, c.Made); err != nil {
				return nil, nil, err
			}
			steps[i].Changes = append(steps[i].Changes, c)
		}
	}
	return &past, steps, nil
}

// ChangesBetween are the objects whose live values differ between the records of two snapshots, in the order of the second.
func (r *Reconciler) ChangesBetween(before, after snapshot.Record, l *ledger.Ledger) ([]state.Change, error) {
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	was := make(map[state.Addr]json.RawMessage, len(before.Objects))
	for _, o := range before.Objects {
		was[o.Addr] = o.Live
	}
	var changes []state.Change
	compare := func(a state.Addr, from, to json.RawMessage) error {
		c := state.Change{Addr: a, Before: r.Kinds.ToShow(a, from), After: r.Kinds.ToShow(a, to)}
		if state.Same(c.Before, c.After) {
			return nil
		}
		for _, run := range []int{before.Run, after.Run} {
			names, err := secrets.of(a, run, c.Before, c.After)
			if err != nil {
				return err
			}
			c.Sensitive = union(c.Sensitive, names)
		}
		changes = append(changes, c)
		return nil
	}
	seen := make(map[state.Addr]bool, len(after.Objects))
	for _, o := range after.Objects {
		seen[o.Addr] = true
		if err := compare(o.Addr, was[o.Addr], o.Live); err != nil {
			return nil, err
		}
	}
	for _, o := range before.Objects {
		if seen[o.Addr] {
			continue
		}
		if err := compare(o.Addr, o.Live, nil); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// Recorded are the objects of a snapshot's record, as changes from nothing. What is or was sensitive is named in them.
func (r *Reconciler) Recorded(record snapshot.Record, l *ledger.Ledger) ([]state.Change, error) {
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	objects := make([]state.Change, len(record.Objects))
	for i, o := range record.Objects {
		objects[i] = state.Change{Addr: o.Addr, After: r.Kinds.ToShow(o.Addr, o.Live)}
		if objects[i].Sensitive, err = secrets.of(o.Addr, record.Run, objects[i].After); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
