package reconciler

import (
	"context"
	"fmt"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Recovery says what became of a run that had been cut off.
type Recovery struct {
	Run     int
	Outcome string // journal.Applied or journal.TakenBack
}

// CutOff finds the run that was cut off; nil when there is none. Only the last can be: no run begins before it is finished.
func (r *Reconciler) CutOff() (*journal.Story, error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	last := runs[len(runs)-1]
	if ended, err := journal.Ended(r.Store.JournalDir(), last); err != nil || ended {
		return nil, err
	}
	story, err := journal.Read(r.Store.JournalDir(), last)
	if err != nil {
		return nil, err
	}
	// One that was cut off before its first record was whole touched nothing. Its file stays: without the lock, it may be that
	// of a run that is about to begin.
	if story == nil || story.End != nil {
		return nil, nil
	}
	return story, nil
}

// Recover finishes a run that was cut off, backwards; where all its steps are complete it is finished as it is. Its caller
// holds the lock. Nil: there was nothing to recover.
func (r *Reconciler) Recover(ctx context.Context) (*Recovery, error) {
	story, err := r.CutOff()
	if err != nil || story == nil {
		return nil, err
	}
	owned, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return nil, err
	}
	j, err := journal.Continue(r.Store.JournalDir(), story.Run.Run)
	if err != nil {
		return nil, err
	}
	run := &run{Reconciler: r, number: story.Run.Run, onFailure: story.Run.OnFailure, ledger: owned, journal: j,
		started: story.Run.Started, planned: story.Run.Digest, before: story.Run.Before, done: map[int]bool{}, recovering: true}
	for _, b := range story.Steps {
		run.beside = append(run.beside, r.Store.Beside(b.Node))
		if story.Undone[b.Step] {
			continue
		}
		run.steps = append(run.steps, b)
		_, run.done[b.Step] = story.Done[b.Step]
	}
	recovery := &Recovery{Run: run.number, Outcome: journal.Applied}
	if len(story.Done) == story.Run.Steps && len(story.Undone) == 0 {
		run.end(journal.Applied, "")
		return recovery, nil
	}
	recovery.Outcome = journal.TakenBack
	// A policy that keeps what a failed run has done keeps its complete steps only: a step cut in two is taken back always.
	if err := run.takeBack(context.WithoutCancel(ctx), run.onFailure == OnFailureRollback); err != nil {
		return nil, fmt.Errorf("cannot take back run %d, which was cut off: %w", run.number, err)
	}
	run.end(journal.TakenBack, "the run was cut off")
	return recovery, nil
}
