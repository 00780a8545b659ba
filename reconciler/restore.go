package reconciler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// A SubvolumeRestore is a subvolume that belongs to no node and is to go back to what it was when a snapshot was taken of it.
type SubvolumeRestore struct {
	snapshot.Info
	// Root says that it is the mounted root, which only the next boot exchanges.
	Root bool
	// Along are the subvolumes in it that have something in them: they are in no snapshot of it, and stay as they are.
	Along []string
	was   uint64
	// Run and Kept are those of the run that did it: its number, and the snapshot of what was there until then.
	Run  int
	Kept string
}

// PlanRestore looks whether the subvolume of a snapshot can go back to it. It changes nothing.
func (r *Reconciler) PlanRestore(name string) (*SubvolumeRestore, error) {
	infos, err := r.Snapshots()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(infos, func(i snapshot.Info) bool { return i.Name == name })
	switch {
	case at < 0:
		return nil, fmt.Errorf("there is no snapshot %s; opdbus snapshots lists those that there are", name)
	case infos[at].Problem != "":
		return nil, fmt.Errorf("cannot go back to snapshot %s: %s", name, infos[at].Problem)
	case infos[at].Subvolume == "":
		return nil, fmt.Errorf("snapshot %s is of %s; restore it without --subvolume", name, infos[at].Of())
	}
	p := &SubvolumeRestore{Info: infos[at]}
	if err := r.restorable(p); err != nil {
		return nil, fmt.Errorf("cannot restore the subvolume %s: %w", p.Subvolume, err)
	}
	return p, nil
}

func (r *Reconciler) restorable(p *SubvolumeRestore) (err error) {
	real := r.Host.Path(p.Subvolume)
	there, err := exists(real)
	if err != nil {
		return err
	}
	if !there { // it was deleted
		of, err := snapshot.FileSystem(filepath.Dir(real))
		if err != nil {
			return err
		}
		if stores, err := snapshot.FileSystem(r.Store.Dir()); err != nil || of != stores {
			return errors.Join(err, fmt.Errorf("%s is on another file system now; mount the one that it was on", filepath.Dir(real)))
		}
		return r.besideFree(p)
	}
	if err := r.checkSubvolume(p.Subvolume); err != nil {
		return err
	}
	if p.Along, err = nestedIn(real); err != nil {
		return err
	}
	for _, n := range p.Along {
		if err := noPlace(p.Path, n); err != nil {
			return fmt.Errorf("it holds the subvolume %s, which is to stay as it is, and in the snapshot %w; move it elsewhere", filepath.Join(real, n), err)
		}
	}
	if real == "/" {
		p.Root = true
		return r.bootable(p)
	}
	if p.was, err = snapshot.ID(real); err != nil {
		return err
	}
	mounts, err := mountsIn(real)
	if err != nil {
		return err
	}
	if slices.Contains(mounts, real) {
		return errors.New("it is mounted by itself, and what is mounted cannot be exchanged; unmount it, mount the file system's top level (subvolid=5) elsewhere, and restore it there under its name")
	}
	if len(mounts) > 0 {
		return fmt.Errorf("file systems are mounted in it: %s; unmount them, and mount them again when it is restored", strings.Join(mounts, ", "))
	}
	return r.besideFree(p)
}

// bootable looks whether the next boot takes the file system's default subvolume for its root, as the last one did.
func (r *Reconciler) bootable(p *SubvolumeRestore) (err error) {
	if p.was, err = snapshot.Default("/"); err != nil {
		return err
	}
	booted, err := snapshot.ID("/")
	if err != nil || booted == p.was {
		return err
	}
	roots, _ := filepath.Glob(filepath.Join(r.Store.Roots(), "*"))
	for _, root := range roots {
		if id, err := snapshot.ID(root); err == nil && id == p.was {
			return nil // restored before, and not booted since
		}
	}
	return fmt.Errorf("the host was not booted from its file system's default subvolume, which is number %d, but from number %d; "+
		"a restored root would not be booted either. See that nothing names the root's subvolume (rootflags=subvol=… of the kernel, in the boot loader's configuration), "+
		"and make it the default: btrfs subvolume set-default %[2]d /", p.was, booted)
}

// mountsIn are the places at dir and below it where something is mounted (proc_pid_mountinfo(5)).
func mountsIn(dir string) (places []string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot tell what is mounted in %s: %w", dir, err)
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if at := unescape.Replace(fields[4]); at == dir || strings.HasPrefix(at, dir+"/") {
			places = append(places, at)
		}
	}
	slices.Sort(places)
	return slices.Compact(places), nil
}

// besideFree refuses to build a copy where something of somebody else's stands.
func (r *Reconciler) besideFree(p *SubvolumeRestore) error {
	beside := r.restoredBeside(&journal.Subvolume{Path: p.Subvolume}, 0)
	there, err := exists(beside)
	if there {
		return fmt.Errorf("%s is in the way, where the copy is to be built; move it away", beside)
	}
	return err
}

// restoredBeside is where the copy is built that takes the subvolume's place, and where what was there stands then. A root's stays there.
func (r *Reconciler) restoredBeside(s *journal.Subvolume, run int) string {
	if s.Root {
		return filepath.Join(r.Store.Roots(), fmt.Sprintf("root-of-run-%d", run))
	}
	real := r.Host.Path(s.Path)
	return filepath.Join(filepath.Dir(real), "."+filepath.Base(real)+".opdbus")
}

// RestoreSubvolume exchanges the subvolume for a copy of the snapshot, in one step, and keeps what was there as a snapshot. That of a
// mounted root is exchanged by the next boot. Its caller holds the lock, and has recovered what was cut off.
func (r *Reconciler) RestoreSubvolume(p *SubvolumeRestore, command string) error {
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
	if p.Run, err = r.nextRun(owned); err != nil {
		return err
	}
	run := &run{Reconciler: r, number: p.Run, onFailure: OnFailureRollback, ledger: owned, before: owned.Head, rollback: "to snapshot " + p.Name,
		started: time.Now().UTC().Truncate(time.Second), restores: &journal.Subvolume{Path: p.Subvolume, Snapshot: p.Name, Was: p.was, Root: p.Root}}
	run.journal, err = journal.Create(r.Store.JournalDir(), journal.Run{
		Run: p.Run, Command: command, Opdbus: r.Version, Host: r.MachineID, OnFailure: OnFailureRollback, Started: run.started, Before: owned.Head,
		Rollback: run.rollback, Registry: r.Host.Registry, Subvolume: run.restores,
	})
	if err != nil {
		return err
	}
	if err := run.restore(p); err != nil {
		failed := &FailedError{Run: p.Run, Err: fmt.Errorf("cannot restore the subvolume %s: %w", p.Subvolume, err), Outcome: journal.TakenBack, Policy: run.onFailure}
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
	if s.Root { // the host goes on with what is in them until the next boot
		if err := copyNested(sub, "/", beside); err != nil {
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
	if err := run.keepReplaced(); err != nil {
		return err
	}
	if taken, err := run.setOf(run.number); err == nil && len(taken) > 0 {
		p.Kept = taken[0].Name
	}
	return nil
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

// keepReplaced takes a snapshot of what was there: after the exchange, so that nothing is missing in it that was written until then.
func (run *run) keepReplaced() error {
	s := run.restores
	if s.Was == 0 {
		return nil
	}
	if taken, err := run.setOf(run.number); err != nil || len(taken) > 0 {
		return err
	}
	old := run.restoredBeside(s, run.number)
	if s.Root {
		old = "/"
	}
	_, err := snapshot.TakeOf(run.Host.Subvolumes, run.Store.Snapshots(), old, snapshot.Record{Head: snapshot.Head{
		Run: run.number, Subvolume: s.Path, Phase: snapshot.PreRollback, Created: time.Now(), Existed: true,
	}})
	return err
}

// dropReplaced deletes what stands beside a subvolume: what was exchanged and is kept as a snapshot, or a copy that did not come to be. A root is in use until the next boot, and stays.
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
		err = errors.Join(snapshot.Sweep(run.Host.Subvolumes, run.Store.Snapshots()),
			run.carry(run.restoredBeside(run.restores, run.number), run.Host.Path(run.restores.Path)), run.keepReplaced())
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
