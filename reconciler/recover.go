package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Recovery says what became of a run that had been cut off.
type Recovery struct {
	Run     int
	Outcome string // journal.Applied, journal.TakenBack, or journal.Kept when it was abandoned
	// Unconfirmed says that it was taken back because nobody confirmed it in time.
	Unconfirmed bool
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
	var damaged *journal.DamagedError
	if errors.As(err, &damaged) {
		return nil, fmt.Errorf("%w; opdbus fsck says what is known of that run, and opdbus recover --abandon ends it as it is", err)
	}
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

// RecoverOptions say what is recovered.
type RecoverOptions struct {
	// Run is the only one that is meant; 0: whichever was cut off.
	Run int
	// Now takes back a run that waits for its confirmation although there is time left.
	Now bool
	// Abandon leaves the host as the run left it.
	Abandon bool
}

// Recover finishes a run that was cut off, backwards; where all its steps are complete it is finished as it is, unless nobody
// has confirmed it in time. Its caller holds the lock. Nil: there was nothing to recover.
func (r *Reconciler) Recover(ctx context.Context, o RecoverOptions) (*Recovery, error) {
	story, err := r.CutOff()
	var damaged *journal.DamagedError
	if o.Abandon && errors.As(err, &damaged) {
		_, err := journal.SetAside(r.Store.JournalDir(), damaged.Run)
		return &Recovery{Run: damaged.Run, Outcome: journal.Kept}, err
	}
	if err != nil || story == nil || o.Run > 0 && story.Run.Run != o.Run {
		return nil, err
	}
	waiting := Waiting(story)
	if waiting && !o.Now {
		if over, err := overdue(story.Confirm); err != nil {
			return nil, err
		} else if !over {
			return nil, &WaitingError{story.Run.Run, story.Confirm.By}
		}
	}
	run, err := r.resume(story)
	if err != nil {
		return nil, err
	}
	if run.restores != nil {
		return run.finishRestore(o.Abandon)
	}
	recovery := &Recovery{Run: run.number, Outcome: journal.Applied}
	why := "the run was cut off"
	switch {
	case o.Abandon:
		recovery.Outcome = journal.Kept
		if err := run.disownIncomplete(); err != nil {
			return nil, errors.Join(err, run.journal.Close())
		}
		return recovery, run.end(journal.Kept, why+" and abandoned: the host was left as it was")
	case waiting:
		why = "nobody confirmed it in time"
		recovery.Unconfirmed = true
	case complete(story):
		if story.Run.Rollback != "" {
			if err := run.fire(context.WithoutCancel(ctx), run.triggers); err != nil {
				run.Log.Warn("cannot restart or reload what the run was to; the next apply does", "run", run.number, "error", err)
			} else {
				run.fired = true
			}
		}
		if err := run.completeSet(); err != nil {
			run.Log.Warn("there is no snapshot after the run of the subvolumes that belong to no node", "run", run.number, "error", err)
		}
		run.endOrWarn(journal.Applied, "")
		return recovery, nil
	}
	recovery.Outcome = journal.TakenBack
	// A policy that keeps what a failed run has done keeps its complete steps only: a step cut in two is taken back always.
	if err := run.takeBack(context.WithoutCancel(ctx), run.onFailure == OnFailureRollback); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot take back run %d: %w", run.number, err), run.journal.Close())
	}
	if waiting {
		if err := run.holdFailed(errors.New(why)); err != nil {
			run.Log.Warn("cannot hold the plan", "run", run.number, "error", err)
		}
	}
	run.endOrWarn(journal.TakenBack, why)
	return recovery, nil
}

// resume goes on with a run that has not ended.
func (r *Reconciler) resume(story *journal.Story) (*run, error) {
	owned, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return nil, err
	}
	// Which plans are held was perhaps being written when the run was cut off, and is not always written again.
	if err := durable.Clear(r.Store.Held()); err != nil {
		return nil, err
	}
	j, err := journal.Continue(r.Store.JournalDir(), story.Run.Run)
	if err != nil {
		return nil, err
	}
	run := &run{Reconciler: r, number: story.Run.Run, onFailure: story.Run.OnFailure, ledger: owned, journal: j,
		started: story.Run.Started, planned: story.Run.Digest, config: story.Run.Config, rollback: story.Run.Rollback, before: story.Run.Before, triggers: story.Run.Triggers, restores: story.Run.Subvolume, done: map[int]bool{}, undone: map[int]bool{}, recovering: true}
	for _, b := range story.Steps {
		run.beside = append(run.beside, r.Store.Beside(b.Node))
		run.steps = append(run.steps, b)
		if run.undone[b.Step] = story.Undone[b.Step]; run.undone[b.Step] {
			continue
		}
		_, run.done[b.Step] = story.Done[b.Step]
	}
	return run, nil
}
