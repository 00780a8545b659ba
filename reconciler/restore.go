package reconciler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// RestoreSubvolume exchanges the subvolume for a copy of the snapshot, in one step, and keeps what was there as a snapshot. That of a
// mounted root is exchanged by the next boot. Its caller holds the lock, and has recovered what was cut off.
func (r *Reconciler) RestoreSubvolume(ctx context.Context, p *SubvolumeRestore, command string) error {
	if err := r.finishPruningOrWarn(ctx); err != nil {
		return err
	}
	owned, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return err
	}
	if err := r.settled(); err != nil {
		return err
	}
	// It was planned before the lock was had.
	now, err := r.PlanRestore(p.Name)
	if err != nil {
		return err
	}
	if now.was != p.was {
		return &StaleError{fmt.Sprintf("the subvolume %s was exchanged since this was planned; nothing was changed", p.Subvolume)}
	}
	if p.By, err = r.nextRun(owned); err != nil {
		return err
	}
	run := &run{Reconciler: r, number: p.By, onFailure: OnFailureRollback, ledger: owned, before: owned.Head, rollback: "to snapshot " + p.Name,
		started: time.Now().UTC().Truncate(time.Second), restores: &journal.Subvolume{Path: p.Subvolume, Snapshot: p.Name, Was: p.was, Root: p.Root}}
	run.journal, err = journal.Create(r.Store.JournalDir(), journal.Run{
		Run: p.By, Command: command, Opdbus: r.Version, Host: r.MachineID, OnFailure: OnFailureRollback, Started: run.started, Before: owned.Head,
		Rollback: run.rollback, Registry: r.Host.Registry, Subvolume: run.restores,
	})
	if err != nil {
		return err
	}
	if err := run.restore(p); err != nil {
		failed := &FailedError{Run: p.By, Err: fmt.Errorf("cannot restore the subvolume %s: %w", p.Subvolume, err), Outcome: journal.TakenBack, Policy: run.onFailure}
		if failed.Undo = run.unrestore(); failed.Undo != nil {
			failed.Outcome = journal.Broken
		}
		run.endOrWarn(failed.Outcome, failed.Error())
		return failed
	}
	run.endOrWarn(journal.Applied, "")
	return nil
}

// restore does it. Until the exchange, or the change of the default, nothing of it counts.
func (run *run) restore(p *SubvolumeRestore) error {
	sub, s := run.Host.Subvolumes, run.restores
	beside := run.restoredBeside(s, run.number)
	if s.Root {
		if err := os.Mkdir(run.Store.Roots(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := sub.Copy(p.Path, beside); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(beside, snapshot.RecordDir)); err != nil {
		return err
	}
	if s.Root { // the host goes on with it until the next boot, after which what was there cannot be seen any more
		if err := copyNested(sub, "/", beside); err != nil {
			return err
		}
		var err error
		if p.Kept, err = run.keepReplaced(); err != nil {
			return err
		}
	}
	if err := snapshot.Sync(run.Store.Dir()); err != nil {
		return err
	}
	if err := run.swap(beside); err != nil {
		return err
	}
	if err := run.carry(beside, run.Host.Path(s.Path)); err != nil {
		return err
	}
	if s.Root {
		return nil
	}
	var err error
	p.Kept, err = run.keepReplaced()
	return err
}

// swap has the copy beside take the subvolume's place.
func (run *run) swap(beside string) error {
	real := run.Host.Path(run.restores.Path)
	switch {
	case run.restores.Root:
		return errors.Join(snapshot.SetDefault(beside), snapshot.Sync(run.Store.Dir()))
	case run.restores.Was == 0:
		if err := unix.Renameat2(unix.AT_FDCWD, beside, unix.AT_FDCWD, real, unix.RENAME_NOREPLACE); err != nil {
			return fmt.Errorf("cannot put the copy to %s: %w", real, err)
		}
	default:
		if err := run.Host.Subvolumes.Exchange(beside, real); err != nil {
			return err
		}
	}
	return snapshot.Sync(run.Store.Dir())
}

// swapped says whether the subvolume is another than it was before the run.
func (run *run) swapped() (bool, error) {
	s := run.restores
	if s.Root {
		id, err := snapshot.Default("/")
		return id != s.Was, err
	}
	real := run.Host.Path(s.Path)
	there, err := exists(real)
	if err != nil || !there {
		return false, err
	}
	id, err := snapshot.ID(real)
	return id != s.Was, err
}

// keepReplaced takes a snapshot of what was there, if anything, and gives its name: after an exchange, so that nothing is missing in it that
// was written until then.
func (run *run) keepReplaced() (name string, err error) {
	s := run.restores
	if s.Was == 0 {
		return "", nil
	}
	old := run.restoredBeside(s, run.number)
	if s.Root {
		old = "/"
	}
	kept, err := snapshot.TakeOf(run.Host.Subvolumes, run.Store.Snapshots(), old, snapshot.Record{Head: snapshot.Head{
		Run: run.number, Subvolume: s.Path, Phase: snapshot.PreRollback, Created: time.Now(), Existed: true,
	}})
	return kept.Name, err
}

// dropReplaced deletes what stands beside a subvolume: what was exchanged and is kept as a snapshot, or a copy that did not come to be. A
// root is in use until the next boot, and stays.
func (run *run) dropReplaced() error {
	s := run.restores
	beside := run.restoredBeside(s, run.number)
	there, err := exists(beside)
	if s.Root || err != nil || !there {
		return err
	}
	nested, err := snapshot.Nested(beside)
	if err != nil {
		return err
	}
	for _, n := range nested {
		if err := os.Remove(n); err != nil { // which takes only one that is empty
			return err
		}
	}
	return errors.Join(run.Host.Subvolumes.Delete(beside), snapshot.Sync(run.Store.Dir()))
}

// unrestore has the subvolume be the one that it was before the run.
func (run *run) unrestore() error {
	s, beside := run.restores, run.restoredBeside(run.restores, run.number)
	swapped, err := run.swapped()
	if err != nil {
		return err
	}
	switch {
	case swapped && s.Root:
		err = snapshot.SetDefaultID("/", s.Was)
	case swapped && s.Was == 0:
		err = os.Rename(run.Host.Path(s.Path), beside)
	case swapped:
		if err := run.carry(run.Host.Path(s.Path), beside); err != nil {
			return err
		}
		err = run.Host.Subvolumes.Exchange(beside, run.Host.Path(s.Path))
	}
	if err != nil {
		return err
	}
	if s.Root {
		err = errors.Join(deleteTree(run.Host.Subvolumes, beside), snapshot.Sync(run.Store.Dir()))
	} else {
		err = run.dropReplaced()
	}
	return errors.Join(err, run.forgetSet())
}

// finishRestore finishes a restore that was cut off: backwards, unless the subvolume has been exchanged already.
func (run *run) finishRestore(abandon bool) (*Recovery, error) {
	recovery := &Recovery{Run: run.number, Outcome: journal.Applied}
	why := ""
	swapped, err := run.swapped()
	switch {
	case abandon:
		recovery.Outcome, why, err = journal.Kept, "the run was cut off and abandoned: the host was left as it was", nil
	case err != nil:
	case swapped:
		err = run.finishSwapped()
	default:
		recovery.Outcome, why = journal.TakenBack, "the run was cut off"
		err = run.unrestore()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot finish run %d, which was restoring the subvolume %s: %w", run.number, run.restores.Path, err), run.journal.Close())
	}
	run.endOrWarn(recovery.Outcome, why)
	return recovery, nil
}

// finishSwapped does what comes after the exchange, as far as it has not been done.
func (run *run) finishSwapped() error {
	if err := errors.Join(snapshot.Sweep(run.Host.Subvolumes, run.Store.Snapshots()),
		run.carry(run.restoredBeside(run.restores, run.number), run.Host.Path(run.restores.Path))); err != nil {
		return err
	}
	kept, err := run.setOf(run.number)
	if err == nil && len(kept) == 0 {
		_, err = run.keepReplaced()
	}
	return err
}
