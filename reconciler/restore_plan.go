package reconciler

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// A SubvolumeRestore is a subvolume that belongs to no node and is to go back to what it was when a snapshot was taken of it.
type SubvolumeRestore struct {
	snapshot.Info
	// Root says that it is the mounted root, which only the next boot exchanges.
	Root bool
	// Along are the subvolumes in it that have something in them: they are in no snapshot of it, and stay as they are.
	Along []string
	was   uint64
	// By is the number of the run that did it, and Kept the snapshot of what was there until then.
	By   int
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
	mounts, err := store.MountsIn(real)
	if err != nil {
		return err
	}
	var inside []string
	for _, m := range mounts {
		inside = append(inside, filepath.Join(real, m.Path))
	}
	if slices.Contains(inside, real) {
		return errors.New("it is mounted by itself, and what is mounted cannot be exchanged; unmount it, mount the file system's top level (subvolid=5) elsewhere, and restore it there under its name")
	}
	if len(inside) > 0 {
		return fmt.Errorf("file systems are mounted in it: %s; unmount them, and mount them again when it is restored", strings.Join(inside, ", "))
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

// noRestoreSince refuses to take an earlier run for the last one where that restored a subvolume, which has no steps to be taken back.
func (r *Reconciler) noRestoreSince(run int) error {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return err
	}
	for _, n := range slices.Backward(runs) {
		if n <= run {
			break
		}
		story, err := journal.Read(r.Store.JournalDir(), n)
		if err != nil {
			return err
		}
		if story == nil || story.Run.Subvolume == nil || story.End == nil || story.End.Outcome != journal.Applied {
			continue
		}
		how := fmt.Sprintf("opdbus undo %d takes back the run before it", run)
		if kept, err := r.setOf(n); err == nil && len(kept) > 0 {
			how = fmt.Sprintf("opdbus restore --subvolume %s takes that back, and ", kept[0].Name) + how
		}
		return fmt.Errorf("the last run, %d, restored the subvolume %s; %s", n, story.Run.Subvolume.Path, how)
	}
	return nil
}
