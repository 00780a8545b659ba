package reconciler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// The policies for a run that fails: take back the run, take back the failed node, or take back nothing.
const (
	OnFailureRollback = "rollback"
	OnFailureNode     = "node"
	OnFailureStop     = "stop"
)

// ApplyOptions say how a plan is applied.
type ApplyOptions struct {
	Parallelism int           // nodes at once; 0: 4
	OnFailure   string        // overrides the plan's
	Command     string        // what the user called, for the journal
	Plan        string        // the id of the saved plan that is applied, for the journal
	Began       func(run int) // is told the run's number before the first change; nil: nobody is
	// Confirm is how long the run waits for its confirmation before it is taken back; 0: it needs none. Arm sees to that whatever
	// becomes of this process; it is called before the first change.
	Confirm time.Duration
	Arm     func(run int) error
}

const defaultParallelism = 4

// A run is one execution of a plan.
type run struct {
	*Reconciler
	number    int
	onFailure string
	plan      *state.Plan
	ledger    *ledger.Ledger
	journal   *journal.Journal
	started   time.Time
	planned   string // the plan's digest
	config    string // the configuration's
	rollback  string // what it goes back to, when it takes back others
	confirm   time.Duration
	before    ledger.Head // the ledger's, to be put back when the whole run is taken back

	triggers []state.Triggering
	// subvolumes are those that belong to no node, and are snapshotted before the first step and after the last.
	subvolumes []string
	restores   *journal.Subvolume // what a run restores that is about one of those; nil for others

	recovering bool // it was cut off, and is being finished
	fired      bool // the triggers that come after the last step have been

	mu     sync.Mutex
	last   int             // the number of the last step
	steps  []journal.Begun // in the order in which they began
	done   map[int]bool
	undone map[int]bool
	beside []string // what an exchange left for the end of the run
}

// Apply makes a plan so. Its caller holds the lock and has recovered what was cut off. The number of the run is returned
// even when it fails; 0 when nothing was begun.
func (r *Reconciler) Apply(ctx context.Context, plan *state.Plan, o ApplyOptions) (int, error) {
	if err := r.finishPruningOrWarn(ctx); err != nil {
		return 0, err
	}
	owned, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return 0, err
	}
	if err := r.settled(); err != nil {
		return 0, err
	}
	if err := r.fresh(ctx, plan, owned); err != nil {
		return 0, err
	}
	if plan.Empty() {
		return 0, nil
	}
	if err := r.checkSubvolumes(plan.Retention.Subvolumes); err != nil {
		return 0, err
	}
	run, err := r.begin(plan, owned, o)
	if err != nil {
		return 0, err
	}
	g := graph.New(state.NodeAddr.Compare)
	nodes := make(map[state.NodeAddr]*state.NodePlan, len(plan.Nodes))
	for _, np := range plan.Nodes {
		nodes[np.Addr] = np
		g.Add(np.Addr)
		for _, a := range np.After {
			g.Need(np.Addr, a)
		}
	}
	parallelism := o.Parallelism
	if parallelism == 0 {
		parallelism = defaultParallelism
	}
	if o.Began != nil {
		o.Began(run.number)
	}
	defer run.attend(ctx)()
	if err := run.arm(o); err != nil {
		return run.number, run.finish(ctx, err)
	}
	if err := run.takeSet(run.phaseOfSet(), 0); err != nil {
		return run.number, run.finish(ctx, err)
	}
	err = g.Walk(ctx, parallelism, func(ctx context.Context, a state.NodeAddr) error {
		np := nodes[a]
		run.tell(Event{Node: a, What: "begun", Changes: len(np.Changes)})
		if err := run.step(ctx, np); err != nil {
			run.tell(Event{Node: a, What: "failed", Err: err})
			return err
		}
		run.tell(Event{Node: a, What: "done", Changes: len(np.Changes)})
		return nil
	})
	if err == nil {
		err = run.fire(ctx, plan.Triggers)
		run.fired = err == nil
	}
	if err == nil {
		err = run.takeSet(snapshot.Post, run.afterSteps())
	}
	return run.number, run.finish(ctx, err)
}

// begin opens the journal of a new run.
func (r *Reconciler) begin(plan *state.Plan, owned *ledger.Ledger, o ApplyOptions) (*run, error) {
	number, err := r.nextRun(owned)
	if err != nil {
		return nil, err
	}
	digest, err := plan.Digest(r.Key)
	if err != nil {
		return nil, err
	}
	onFailure := o.OnFailure
	if onFailure == "" {
		onFailure = plan.OnFailure
	}
	if onFailure == "" {
		onFailure = OnFailureRollback
	}
	if o.Confirm > 0 {
		onFailure = OnFailureRollback // what is to be confirmed as a whole is not kept in part
	}
	run := &run{Reconciler: r, number: number, onFailure: onFailure, plan: plan, ledger: owned, confirm: o.Confirm,
		started: time.Now().UTC().Truncate(time.Second), planned: digest, config: plan.Config, rollback: plan.Rollback, before: owned.Head, triggers: triggerings(plan), subvolumes: plan.Retention.Subvolumes, done: map[int]bool{}, undone: map[int]bool{}}
	run.journal, err = journal.Create(r.Store.JournalDir(), journal.Run{
		Run: number, Command: o.Command, Opdbus: r.Version, Host: r.MachineID, Config: plan.Config, Commit: plan.Commit,
		Digest: digest, OnFailure: onFailure, Started: run.started, Steps: len(plan.Nodes), Before: owned.Head,
		Rollback: plan.Rollback, Plan: o.Plan, Registry: r.Host.Registry, Triggers: run.triggers,
	})
	return run, err
}

// arm has the run taken back unless it is confirmed, from before its first change on.
func (run *run) arm(o ApplyOptions) error {
	if run.confirm == 0 {
		return nil
	}
	if err := run.awaitConfirmation(); err != nil {
		return err
	}
	if err := o.Arm(run.number); err != nil {
		return fmt.Errorf("cannot have the run taken back unless it is confirmed: %w", err)
	}
	return nil
}

// nextRun is one more than any run that the ledger or a journal knows.
func (r *Reconciler) nextRun(owned *ledger.Ledger) (int, error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return 0, err
	}
	aside, _, err := journal.Aside(r.Store.JournalDir())
	if err != nil {
		return 0, err
	}
	last := owned.Run
	for _, of := range [][]int{runs, aside} {
		if len(of) > 0 {
			last = max(last, of[len(of)-1])
		}
	}
	return last + 1, nil
}

// settled refuses to begin while another run is cut off: one that came to it between the plan and the lock. A run that
// begins after it would hide it, as only the last is recovered.
func (r *Reconciler) settled() error {
	story, err := r.CutOff()
	if err != nil || story == nil {
		return err
	}
	if Waiting(story) {
		return &WaitingError{story.Run.Run, story.Confirm.By}
	}
	return &StaleError{fmt.Sprintf("run %d was cut off since the plan was made; opdbus recover, or an apply that plans anew, takes it back", story.Run.Run)}
}

// fresh refuses a plan that was made for another host, for another ledger, or for live values that are no longer so.
func (r *Reconciler) fresh(ctx context.Context, plan *state.Plan, owned *ledger.Ledger) error {
	if plan.Host != r.MachineID {
		return &StaleError{fmt.Sprintf("the plan was made for the host with machine id %s and this one has %s; make a plan here", plan.Host, r.MachineID)}
	}
	if plan.Run != owned.Run {
		return &StaleError{fmt.Sprintf("the plan was made after run %d and the last run now is %d; make a new plan", plan.Run, owned.Run)}
	}
	for _, np := range plan.Nodes {
		if _, err := r.unchanged(ctx, np); err != nil {
			return err
		}
		if err := r.reachable(np); err != nil {
			return err
		}
	}
	return nil
}

// unchanged reads what a node's changes are about and refuses when it is no longer what they were computed from.
func (r *Reconciler) unchanged(ctx context.Context, np *state.NodePlan) ([]state.Object, error) {
	as := aim
	if np.Back != nil {
		as = start
	}
	lives, err := r.readChanges(ctx, np.Changes, as)
	if err != nil {
		return nil, err
	}
	var stale []string
	for i, c := range np.Changes {
		if !state.Same(lives[i], c.Before) {
			stale = append(stale, c.Addr.String())
		}
	}
	if len(stale) > 0 {
		return nil, &StaleError{fmt.Sprintf("the plan is stale: %s changed on the host since it was made; make a new plan", differences(stale))}
	}
	return lives, nil
}

// finish ends a run: takes back what has to be taken back, and writes how it ended.
func (run *run) finish(ctx context.Context, failure error) error {
	if failure == nil && run.confirm > 0 {
		// The time begins anew with the last change. What was written at first stands if that cannot be written.
		if err := errors.Join(run.awaitConfirmation(), run.journal.Close()); err != nil {
			run.Log.Warn("cannot write until when the run has to be confirmed", "run", run.number, "error", err)
		}
		return nil
	}
	if failure == nil {
		run.endOrWarn(journal.Applied, "")
		return nil
	}
	var check *CheckError
	failed := &FailedError{Run: run.number, Err: failure, Outcome: journal.Kept, Policy: run.onFailure, Interrupted: ctx.Err() != nil,
		Verification: errors.As(failure, &check)}
	if run.onFailure == OnFailureStop {
		if err := run.disownIncomplete(); err != nil {
			failed.Undo, failed.Outcome = err, journal.Broken
		}
	} else {
		failed.Outcome = journal.TakenBack
		// Taking back is finished whoever asks to stop in the meantime: the host is not left in between.
		if failed.Undo = run.takeBack(context.WithoutCancel(ctx), run.onFailure == OnFailureRollback); failed.Undo != nil {
			failed.Outcome = journal.Broken
		}
	}
	var stale *StaleError
	if failed.Outcome == journal.TakenBack && !failed.Interrupted && !errors.As(failure, &stale) {
		if err := run.holdFailed(failure); err != nil {
			run.Log.Warn("cannot hold the plan", "run", run.number, "error", err)
		}
	}
	run.endOrWarn(failed.Outcome, failed.Error())
	return failed
}

// endOrWarn tidies up and writes how the run ended. By now the host is what the outcome says, so that a failure here is no failure of
// the run: one without an end is recovered, which finds every step done, or taken back, and tidies up and ends it. That is
// also why a broken run gets no end: its recovery tries again to take it back.
func (run *run) endOrWarn(outcome, why string) {
	if err := run.end(outcome, why); err != nil {
		run.Log.Warn("cannot write how the run ended; the next recovery does", "run", run.number, "error", err)
	}
}

// end is endOrWarn for those to whom the end itself matters.
func (run *run) end(outcome, why string) error {
	if outcome == journal.Applied && run.restores == nil {
		if err := run.settleHeld(); err != nil {
			run.Log.Warn("cannot bring up to date which plans are held", "run", run.number, "error", err)
		}
	}
	swept := run.sweep()
	if run.restores != nil && outcome == journal.Applied {
		swept = run.dropReplaced()
	}
	if swept != nil {
		run.Log.Warn("cannot remove what the run left in the store", "run", run.number, "error", swept)
	}
	var err error
	// What cannot be removed even by a recovery is left, and so is what a kept run left, whose steps nothing may take back.
	if outcome != journal.Broken && (swept == nil || run.recovering || outcome == journal.Kept) {
		end := journal.End{Outcome: outcome, Error: why, Ended: time.Now().UTC().Truncate(time.Second)}
		if end.Pending, err = run.leftPending(); err != nil {
			return errors.Join(err, run.journal.Close())
		}
		err = run.journal.Append(journal.Record{End: &end})
	}
	return errors.Join(err, run.journal.Close())
}

// sweep deletes the trees that exchanges have left beside the nodes. Until now a program that had just looked up a path
// in one of them could still go on reading there. That they are gone is on disk before the run ends: after a power cut a deleted
// subvolume may be back, and nobody looks for what a run has left that has ended.
func (run *run) sweep() error {
	var errs []error
	swept := false
	for _, dir := range run.beside {
		there, err := exists(dir)
		swept = swept || there
		errs = append(errs, err, run.Host.Subvolumes.Delete(dir))
	}
	if swept {
		errs = append(errs, snapshot.Sync(run.Store.Dir()))
	}
	return errors.Join(errs...)
}
