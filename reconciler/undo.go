package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// takeBack takes back what the run did, last first: all its steps, or only those that are not complete. It goes on after
// an error, so that as much as can be is as it was; the errors come joined.
func (run *run) takeBack(ctx context.Context, all bool) error {
	var errs []error
	whole := true
	for _, b := range slices.Backward(run.steps) {
		switch {
		case run.undone[b.Step]: // by a recovery that was cut off
			continue
		case run.done[b.Step] && !all:
			whole = false
			continue
		}
		run.tell(Event{Node: b.Node, What: "taking back", Changes: len(b.Changes)})
		if err := run.undo(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", b.Node, err))
			run.tell(Event{Node: b.Node, What: "not taken back", Err: err})
			continue
		}
		run.undone[b.Step] = true
		run.tell(Event{Node: b.Node, What: "taken back", Changes: len(b.Changes)})
	}
	errs = append(errs, run.fireAgain(ctx))
	if err := errors.Join(errs...); err != nil || !whole {
		return err
	}
	run.ledger.Head = run.before
	if err := run.ledger.Save(run.Store.Ledger()); err != nil {
		return err
	}
	return run.forgetSet()
}

// undo takes back one step: first what is outside the node's tree, by the inverse of each change, last first; then the tree, by its
// snapshot; then the ledger; and only when that is on disk the step's own snapshots. Each part looks at the host and may be
// done again, so that it does not matter how far the step or an earlier undo came.
func (run *run) undo(ctx context.Context, b journal.Begun) error {
	site := run.site(b.Node)
	pre := filepath.Join(run.Store.Snapshots(), b.Pre)
	had, err := exists(pre)
	if err != nil {
		return err
	}
	if had { // without it, nothing but the node's own record had been written
		site.Earlier = []string{pre}
		changes, err := run.recorded(b)
		if err != nil {
			return err
		}
		if err := run.invert(ctx, site, changes); err != nil {
			return err
		}
		if err := run.putBack(site, b, pre); err != nil {
			return err
		}
	} else if err := run.clean(site, b); err != nil {
		return err
	}
	if err := run.disown(b); err != nil {
		return err
	}
	if err := snapshot.Sync(run.Store.Dir()); err != nil {
		return err
	}
	if err := run.forgetSnapshots(b, pre); err != nil {
		return err
	}
	return run.journal.Append(journal.Record{Undone: &journal.Undone{Step: b.Step}})
}

// recorded are a step's changes as the journal has them.
func (run *run) recorded(b journal.Begun) ([]state.Change, error) {
	changes := make([]state.Change, 0, len(b.Changes))
	for _, jc := range b.Changes {
		a, err := state.ParseLocal(b.Node, jc.Object)
		if err != nil {
			return nil, err
		}
		kind, err := run.kind(a)
		if err != nil {
			return nil, err
		}
		c := state.Change{Addr: a, Forget: jc.Forget, Replace: jc.Replace}
		var made []byte
		if jc.Made != nil {
			made = jc.Made.Made
		}
		for _, o := range []struct {
			raw  []byte
			into *state.Object
		}{{jc.Before, &c.Before}, {jc.After, &c.After}, {made, &c.Made}} {
			if *o.into, err = kind.Decode(o.raw); err != nil {
				return nil, err
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// invert takes the changes outside the tree back, last first, and checks that the host is as before.
func (run *run) invert(ctx context.Context, site state.Site, changes []state.Change) error {
	var inverse []state.Change
	for _, c := range slices.Backward(changes) {
		if c.Forget || run.Kinds.For(c.Addr).InTree || state.Same(c.Before, c.After) && !c.Replace {
			continue
		}
		inverse = append(inverse, c.Inverse())
	}
	lives, err := run.readChanges(ctx, inverse, aim)
	if err != nil {
		return err
	}
	for i, c := range inverse {
		// Where somebody else's things could stand, the provider looks for itself: it knows the states in between. For the
		// others, what is live is what the change starts from.
		if !run.Kinds.For(c.Addr).IsOwner() {
			inverse[i].Before = lives[i]
		}
	}
	var errs []error
	for _, b := range run.batches(inverse) {
		if err := b.kind.Apply(ctx, site, b.changes); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, b.kind.Sync(ctx, site, b.changes))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err = run.settle(ctx, inverse)
	return err
}

// putBack exchanges the node's tree for a writable copy of its pre snapshot; a node that was not there goes.
func (run *run) putBack(site state.Site, b journal.Begun, pre string) error {
	sub := run.Host.Subvolumes
	if !b.Existed {
		return errors.Join(sub.Delete(site.Beside), sub.Delete(site.Dir))
	}
	if err := sub.Delete(site.Beside); err != nil {
		return err
	}
	if there, err := exists(site.Dir); err != nil {
		return err
	} else if !there {
		if err := sub.Snapshot(pre, site.Dir, false); err != nil {
			return err
		}
		return snapshot.Restore(site.Dir, run.number)
	}
	if err := errors.Join(sub.Snapshot(pre, site.Beside, false), snapshot.Restore(site.Beside, run.number)); err != nil {
		return err
	}
	if err := sub.Exchange(site.Beside, site.Dir); err != nil {
		return err
	}
	return sub.Delete(site.Beside)
}

// clean undoes what a step had done to the node's subvolume before it had its snapshot: nothing but to its record.
func (run *run) clean(site state.Site, b journal.Begun) error {
	if !b.Existed {
		return run.Host.Subvolumes.Delete(site.Dir)
	}
	return snapshot.Restore(site.Dir, run.number)
}

// disown puts the run's ledger back to what it had before the step.
func (run *run) disown(b journal.Begun) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	if err := disown(run.ledger, b); err != nil {
		return err
	}
	return run.ledger.Save(run.Store.Ledger())
}

// disownIncomplete has the ledger not claim what a step did that did not come to its end, in a run whose steps are kept: it then is what
// the journal tells of the steps that did.
func (run *run) disownIncomplete() error {
	any := false
	for _, b := range slices.Backward(run.steps) {
		if run.undone[b.Step] {
			continue
		}
		if run.done[b.Step] {
			any = true
		} else if err := disown(run.ledger, b); err != nil {
			return err
		}
	}
	if !any {
		run.ledger.Head = run.before
	}
	return run.ledger.Save(run.Store.Ledger())
}

// disown puts a ledger back to what it had before a step.
func disown(l *ledger.Ledger, b journal.Begun) error {
	if b.Back != nil {
		return rewrite(l, b.Was)
	}
	type entries struct {
		origin *journal.Origin
		gone   map[string]bool
		back   map[int]ledger.Entry
	}
	others := map[state.NodeAddr]entries{} // what others get back, all at once: each has its place among the rest
	gone := make(map[string]bool, len(b.Changes))
	back := map[int]ledger.Entry{}
	for _, c := range b.Changes {
		gone[c.Object] = true
		switch {
		case c.Made == nil:
		case c.Origin == nil || c.Origin.Addr.Node == b.Node:
			gone[c.Made.Object] = true // under the address that it moved from, which it has still where the step was cut off
			back[c.At] = *c.Made
		default:
			of, ok := others[c.Origin.Addr.Node]
			if !ok {
				of = entries{c.Origin, map[string]bool{}, map[int]ledger.Entry{}}
				others[c.Origin.Addr.Node] = of
			}
			of.gone[c.Made.Object], of.back[c.At] = true, *c.Made
		}
	}
	for node, of := range others {
		l.Restore(node, of.origin.DependsOn, of.origin.NodeRun, of.gone, of.back)
	}
	l.Restore(b.Node, b.DependsOn, b.NodeRun, gone, back)
	return nil
}

// forgetSnapshots deletes the snapshots that the step took: after it has been taken back, the store is as before.
func (run *run) forgetSnapshots(b journal.Begun, pre string) error {
	taken, err := snapshot.List(run.Store.Snapshots())
	if err != nil {
		return err
	}
	paths := []string{pre}
	for _, i := range taken {
		if i.Problem == "" && i.Run == run.number && i.Step == b.Step && i.Path != pre {
			paths = append(paths, i.Path)
		}
	}
	for _, path := range paths {
		if err := run.Host.Subvolumes.Delete(path); err != nil {
			return err
		}
	}
	return snapshot.Sync(run.Store.Dir())
}

// exists says whether there is anything at path.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
