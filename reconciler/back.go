package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// phaseBefore is that of the snapshot which a step begins with.
func phaseBefore(back *state.Back) snapshot.Phase {
	if back != nil {
		return snapshot.PreRollback
	}
	return snapshot.Pre
}

// reachable says why a node cannot go back to where its plan says any more.
func (r *Reconciler) reachable(np *state.NodePlan) error {
	if np.Back == nil || np.Back.Snapshot == "" {
		return nil
	}
	deleting, err := r.deleting()
	if err != nil {
		return err
	}
	is, err := snapshot.IsSubvolume(r.snapshotPath(np.Back.Snapshot))
	if err != nil || !is || slices.Contains(deleting, np.Back.Snapshot) {
		return &StaleError{fmt.Sprintf("%s cannot go back: its snapshot %s is gone", np.Addr, np.Back.Snapshot)}
	}
	return nil
}

func (r *Reconciler) snapshotPath(name string) string {
	return filepath.Join(r.Store.Snapshots(), name)
}

// goBack makes a node what it was: first what is outside its tree, then the tree, by exchanging it for a copy of its snapshot, or
// for an empty one where the node was not there: that goes with the node when the step is complete.
func (run *run) goBack(ctx context.Context, site state.Site, np *state.NodePlan) error {
	earlier, err := run.contents()
	if err != nil {
		return err
	}
	site.Earlier = append(earlier, site.Earlier...)
	outside := slices.DeleteFunc(slices.Clone(np.Changes), func(c state.Change) bool { return run.Kinds.For(c.Addr).InTree })
	if err := run.change(ctx, site, outside); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errStopped
	}
	sub := run.Host.Subvolumes
	if err := sub.Delete(site.Beside); err != nil {
		return err
	}
	if np.Back.Snapshot == "" {
		err = sub.Create(site.Beside)
	} else if err = sub.Snapshot(run.snapshotPath(np.Back.Snapshot), site.Beside, false); err == nil {
		err = snapshot.Restore(site.Beside, np.Back.Steps[len(np.Back.Steps)-1].Run)
	}
	if err == nil {
		err = sub.Exchange(site.Beside, site.Dir)
	}
	if err != nil {
		return errors.Join(err, sub.Delete(site.Beside))
	}
	return nil
}

// contents are the trees that hold what objects go back to: the snapshots that the steps since then began with, of whichever node
// they are, as an object may have been another's then, even one's that came and went.
func (run *run) contents() ([]string, error) {
	var steps []state.Step
	for _, np := range run.plan.Nodes {
		steps = append(steps, np.Back.Steps...)
	}
	since := slices.MinFunc(steps, state.Step.Compare)
	infos, err := run.Snapshots()
	if err != nil {
		return nil, err
	}
	var trees []string
	for _, i := range infos {
		if since.Compare(state.Step{Run: i.Run, Step: i.Step}) <= 0 && i.Phase != snapshot.Post {
			trees = append(trees, i.Path)
		}
	}
	return trees, nil
}

// rewrite makes a ledger have of nodes what it is told.
func rewrite(l *ledger.Ledger, owned []state.Ownership) error {
	for _, o := range owned {
		if err := l.SetWritten(o.Node, o.Owned); err != nil {
			return fmt.Errorf("cannot rewrite the ledger: %w", err)
		}
	}
	return nil
}

// A pastStep is a step of a former run whose effect is still there.
type pastStep struct {
	state.Step
	run   *journal.Story
	begun journal.Begun
}

// stepsSince lists the steps in effect of the runs from a point on, last first. All runs since have to be known: what one did that is not
// would be left in between.
func (b *back) stepsSince(from state.Step) ([]pastStep, error) {
	runs, err := journal.Runs(b.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	aside, _, err := journal.Aside(b.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	last := b.owned.Run
	for _, run := range slices.Concat(runs, aside) {
		last = max(last, run)
	}
	var steps []pastStep
	for n := last; n >= max(from.Run, 1); n-- {
		if _, known := slices.BinarySearch(runs, n); !known {
			return nil, fmt.Errorf("cannot tell what run %d did, as its journal is gone; opdbus can go back no further than to after that run", n)
		}
		of, err := b.stepsOf(n)
		if err != nil {
			return nil, err
		}
		for _, s := range of {
			if s.Compare(from) >= 0 {
				steps = append(steps, s)
			}
		}
	}
	return steps, nil
}

// stepsOf lists the steps in effect of a run, last first.
func (r *Reconciler) stepsOf(run int) ([]pastStep, error) {
	story, err := journal.Read(r.Store.JournalDir(), run)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no run %d; opdbus history lists the runs that there were", run)
	case err != nil:
		return nil, fmt.Errorf("cannot tell what run %d did: %w", run, err)
	}
	if story == nil { // it touched nothing
		return nil, nil
	}
	return inEffect(story), nil
}

// inEffect are a run's steps that have not been taken back, last first.
func inEffect(story *journal.Story) (steps []pastStep) {
	for _, b := range story.Steps {
		if !story.Undone[b.Step] {
			steps = append(steps, pastStep{state.Step{Run: story.Run.Run, Step: b.Step}, story, b})
		}
	}
	slices.SortFunc(steps, func(a, b pastStep) int { return b.Compare(a.Step) })
	return steps
}

// last finds the first of the steps in effect by which the last run changed a node; the zero node stands for any.
func (r *Reconciler) last(node state.NodeAddr) (first state.Step, err error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return first, err
	}
	for _, n := range slices.Backward(runs) {
		steps, err := r.stepsOf(n)
		if err != nil {
			return first, err
		}
		for _, s := range steps {
			if node == (state.NodeAddr{}) || s.changed(node) {
				first = s.Step
			}
		}
		if first.Run > 0 {
			return first, nil
		}
	}
	if node == (state.NodeAddr{}) {
		return first, errors.New("there is no run to be taken back")
	}
	return first, fmt.Errorf("no run changed %s; opdbus history lists the runs", node)
}

// done says whether the step came to its end; a run that was kept may have one that did not.
func (s pastStep) done() bool {
	_, done := s.run.Done[s.begun.Step]
	return done
}

// changed says whether a step changed a node: its own, or one that took something over from it.
func (s pastStep) changed(node state.NodeAddr) bool {
	return s.begun.Node == node || slices.ContainsFunc(s.begun.Changes, func(c journal.Change) bool {
		return c.Origin != nil && c.Origin.Addr.Node == node || c.HandsTo != nil && c.HandsTo.Node == node
	})
}
