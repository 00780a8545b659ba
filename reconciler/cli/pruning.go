package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

// beginPruning finishes what another began to delete, chooses what goes, and says so durably; without anything to delete there is no
// pruning. Its caller holds the lock.
func (a *app) beginPruning(ctx context.Context, r *reconciler.Reconciler, choose func(*reconciler.Reconciler) ([]snapshot.Info, error)) ([]snapshot.Info, *reconciler.Pruning, error) {
	if _, err := r.FinishPruning(ctx); err != nil {
		return nil, nil, err
	}
	victims, err := choose(r)
	if err != nil || len(victims) == 0 {
		return nil, nil, err
	}
	pruning, err := r.Prune(ctx, victims)
	return victims, pruning, err
}

// pruned says which snapshots were deleted; nothing when none was.
func pruned(victims []snapshot.Info) string {
	if len(victims) == 0 {
		return ""
	}
	return fmt.Sprintf("Pruned %s, of runs up to %d.", render.Count(len(victims), "snapshot"), lastRun(victims))
}

func lastRun(infos []snapshot.Info) int {
	return slices.MaxFunc(infos, func(a, b snapshot.Info) int { return a.Run - b.Run }).Run
}

// pruneAfter begins to delete what a run that was applied has made too old, when the configuration says how long snapshots are kept. Its
// caller holds the lock. What is wrong here is no failure of the run.
func (a *app) pruneAfter(ctx context.Context, r *reconciler.Reconciler, limits state.SnapshotSettings) (finish func()) {
	if limits.Keep == 0 && limits.KeepDays == 0 {
		return func() {}
	}
	victims, pruning, err := a.beginPruning(ctx, r, prunable(limits))
	return func() {
		if err == nil && pruning != nil {
			err = pruning.Finish()
		}
		if err != nil {
			a.log.Warn("cannot delete the snapshots that are kept no longer; opdbus snapshots prune tries again", "error", err)
		} else if len(victims) > 0 {
			fmt.Fprintln(a.err, pruned(victims))
		}
	}
}

// recoverPruning finishes a deletion of snapshots that was cut off.
func (a *app) recoverPruning(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration) error {
	if cutOff, err := r.PruningCutOff(); err != nil || !cutOff {
		return err
	}
	lock, err := a.lock(ctx, r, "opdbus recover", timeout)
	if err != nil {
		return err
	}
	deleted, err := r.FinishPruning(ctx)
	a.unlock(lock)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "The deletion of snapshots had been cut off and was finished: %s deleted.\n", render.Count(deleted, "snapshot"))
	return nil
}
