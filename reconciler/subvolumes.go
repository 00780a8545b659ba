package reconciler

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

// subvolumes are those that a run of a configuration snapshots. A root that is being put together need not have them yet.
func (r *Reconciler) subvolumes(s state.Settings) (paths []string, diags state.Diagnostics) {
	for _, p := range s.Snapshots.Subvolumes {
		switch err := r.checkSubvolume(p); {
		case err == nil:
			paths = append(paths, p)
		case r.Host.Root != "":
			diags.Warnf(s.SubvolumesAt, "A subvolume is left out", "%s.", sentence(err))
		default:
			diags.Errorf(s.SubvolumesAt, "Subvolume that cannot be snapshotted", "%s.", sentence(err))
		}
	}
	return paths, diags
}

// checkSubvolumes refuses subvolumes that no snapshot can be taken of, before anything is changed.
func (r *Reconciler) checkSubvolumes(paths []string) error {
	for _, p := range paths {
		if err := r.checkSubvolume(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) checkSubvolume(path string) error {
	refuse := func(why string, args ...any) error {
		return fmt.Errorf("cannot snapshot the subvolume %s with each run: %w", path, fmt.Errorf(why, args...))
	}
	real := r.Host.Path(path)
	info, err := os.Lstat(real)
	if err != nil {
		return refuse("%w; create it, or leave it out of subvolumes", err)
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return refuse("it is a link; name the subvolume that it leads to")
	}
	if is, err := snapshot.IsSubvolume(real); err != nil {
		return refuse("%w", err)
	} else if !is {
		return refuse("it is no btrfs subvolume; name the subvolume that it is in, or leave it out of subvolumes")
	}
	if there, err := exists(r.Store.Staging()); err != nil || !there {
		return err // init makes the store
	}
	of, err := snapshot.FileSystem(real)
	if err != nil {
		return refuse("%w", err)
	}
	stores, err := snapshot.FileSystem(r.Store.Staging())
	if err != nil {
		return refuse("%w", err)
	}
	if of != stores {
		return refuse("it is on another file system than the store %s, and btrfs takes no snapshot across file systems; keep the store on a subvolume of that one, see --store",
			r.Store.Dir())
	}
	// What goes back with the subvolume must not be what says how to go back.
	if within, err := sameMount(real, r.Store.Dir()); err != nil {
		return refuse("%w", err)
	} else if within {
		return refuse("the store %s is in it, and would go back, or be left behind, with it; give the store a subvolume of its own that is mounted there (docs/subvolumes.md)",
			r.Store.Dir())
	}
	return nil
}

// sameMount says whether path is below dir without a mount in between.
func sameMount(dir, path string) (bool, error) {
	if path != dir && !strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
		return false, nil
	}
	a, err := mountOf(dir)
	if err != nil {
		return false, err
	}
	b, err := mountOf(path)
	return a.Mnt_id == b.Mnt_id, err
}

// mountOf tells the mount that path is in.
func mountOf(path string) (st unix.Statx_t, err error) {
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return st, fmt.Errorf("cannot tell what is mounted at %s: %w", path, err)
	}
	return st, nil
}

// afterSteps is the step that a set taken after the run says it is of: the one that would come next.
func (run *run) afterSteps() int {
	last := 0
	for _, b := range run.steps {
		last = max(last, b.Step)
	}
	return last + 1
}

// takeSet takes a snapshot of each of the run's further subvolumes, one right after the other. All are taken or none.
func (run *run) takeSet(phase snapshot.Phase, step int) (err error) {
	if len(run.subvolumes) == 0 {
		return nil
	}
	if err := snapshot.Sweep(run.Host.Subvolumes, run.Store.Snapshots()); err != nil {
		return err
	}
	var taken []snapshot.Info
	defer func() {
		if err != nil {
			err = errors.Join(err, run.deleteSet(taken))
		}
	}()
	created := time.Now()
	for _, path := range run.subvolumes {
		info, err := snapshot.TakeOf(run.Host.Subvolumes, run.Store.Snapshots(), run.Host.Path(path), snapshot.Record{
			Head: snapshot.Head{Run: run.number, Step: step, Subvolume: path, Phase: phase, Plan: run.planned, Created: created, Existed: true},
		})
		if err != nil {
			return err
		}
		taken = append(taken, info)
	}
	return nil
}

// phaseOfSet is when the set before a run's changes is taken.
func (run *run) phaseOfSet() snapshot.Phase {
	if run.rollback != "" {
		return snapshot.PreRollback
	}
	return snapshot.Pre
}

// setOf are the snapshots of further subvolumes that were taken with a run.
func (r *Reconciler) setOf(run int) ([]snapshot.Info, error) {
	infos, err := snapshot.List(r.Store.Snapshots())
	return slices.DeleteFunc(infos, func(i snapshot.Info) bool { return i.Subvolume == "" || i.Run != run }), err
}

// forgetSet deletes the run's set: after a run has been taken back, the store is as before.
func (run *run) forgetSet() error {
	if err := snapshot.Sweep(run.Host.Subvolumes, run.Store.Snapshots()); err != nil {
		return err
	}
	taken, err := run.setOf(run.number)
	if err != nil {
		return err
	}
	return run.deleteSet(taken)
}

func (run *run) deleteSet(taken []snapshot.Info) error {
	if len(taken) == 0 {
		return nil
	}
	var errs []error
	for _, i := range taken {
		errs = append(errs, run.Host.Subvolumes.Delete(i.Path))
	}
	return errors.Join(append(errs, snapshot.Sync(run.Store.Dir()))...)
}

// completeSet takes the set after a run that was cut off when all else was done.
func (run *run) completeSet() error {
	taken, err := run.setOf(run.number)
	if err != nil {
		return err
	}
	for _, i := range taken {
		if i.Phase != snapshot.Post {
			run.subvolumes = append(run.subvolumes, i.Subvolume)
		}
	}
	if err := run.deleteSet(slices.DeleteFunc(taken, func(i snapshot.Info) bool { return i.Phase != snapshot.Post })); err != nil {
		return err
	}
	return run.takeSet(snapshot.Post, run.afterSteps())
}

// lastSubvolumes are those of the newest run that has snapshots of nodes: a rollback, which knows no configuration, takes the same.
func (r *Reconciler) lastSubvolumes() ([]string, error) {
	infos, err := r.Snapshots()
	if err != nil {
		return nil, err
	}
	last := 0
	for _, i := range infos {
		if i.Subvolume == "" {
			last = max(last, i.Run)
		}
	}
	var paths []string
	for _, i := range infos {
		if i.Run == last && i.Subvolume != "" && !slices.Contains(paths, i.Subvolume) && r.checkSubvolume(i.Subvolume) == nil {
			paths = append(paths, i.Subvolume)
		}
	}
	return paths, nil
}
