package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/snapshot"
)

// A Pruning is snapshots that are being deleted: all of them, or none. It begins with a file that names them, the intent: from
// then on they are gone for everybody, whether their subvolumes are there still or not, and whoever finds the file without
// anybody at it goes on deleting. The file goes when they are gone from disk.
//
// Whoever deletes has the file locked (flock(2)) rather than the store, so that no run waits for it. A run that begins
// while a pruning is going on waits after all: from then on names are taken again, and one that is still to be deleted must not be.
type Pruning struct {
	r    *Reconciler
	file *os.File // the intent, locked
	// Names are the snapshots'.
	Names []string
}

const pruningVersion = 1

type pruningFile struct {
	Version   int      `json:"version"`
	Snapshots []string `json:"snapshots"`
}

// DecodePruning reads the names of the snapshots that are being deleted from their file's bytes.
func DecodePruning(data []byte) ([]string, error) {
	var f pruningFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Version != pruningVersion {
		return nil, fmt.Errorf("its format is version %d, and this opdbus knows version %d only", f.Version, pruningVersion)
	}
	for _, name := range f.Snapshots {
		// What is deleted by these names lies in the directory of the snapshots, whatever has become of the file.
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			return nil, fmt.Errorf("%q is not the name of a snapshot", name)
		}
	}
	return f.Snapshots, nil
}

// Prune says durably that snapshots are deleted; the deleting is Finish's. Its caller holds the store's lock, and has
// finished what was being deleted before. When it fails they are as they were.
func (r *Reconciler) Prune(victims []snapshot.Info) (*Pruning, error) {
	names := make([]string, len(victims))
	for i, v := range victims {
		names[i] = v.Name
	}
	if err := r.intend(names); err != nil {
		return nil, fmt.Errorf("cannot delete snapshots: %w", errors.Join(err, r.dropIntent()))
	}
	p, err := r.pruning()
	if err != nil {
		return nil, fmt.Errorf("%w; opdbus recover goes on with it", err)
	}
	return p, nil
}

func (r *Reconciler) intend(names []string) error {
	data, err := json.Marshal(pruningFile{pruningVersion, names})
	if err != nil {
		return err
	}
	return durable.WriteFile(r.Store.Pruning(), append(data, '\n'), 0o600)
}

func (r *Reconciler) dropIntent() error {
	if err := os.Remove(r.Store.Pruning()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// pruning takes over the pruning that there is; nil when there is none, or when somebody is at it.
func (r *Reconciler) pruning() (*Pruning, error) {
	p, err := r.takePruning()
	if errors.Is(err, errPruned) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot go on deleting snapshots: %w", err)
	}
	return p, nil
}

// errPruned says that there is nothing to go on with.
var errPruned = errors.New("nothing is being deleted")

func (r *Reconciler) takePruning() (p *Pruning, err error) {
	f, err := os.Open(r.Store.Pruning())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errPruned
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if p == nil {
			_ = f.Close()
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errPruned
	} else if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", r.Store.Pruning(), err)
	}
	// Who had it locked until now may have removed it, and somebody else may have begun another.
	mine, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if now, err := os.Stat(r.Store.Pruning()); errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, now) {
		return nil, errPruned
	} else if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	names, err := r.decodePruning(data)
	if err != nil {
		return nil, err
	}
	return &Pruning{r, f, names}, nil
}

func (r *Reconciler) decodePruning(data []byte) ([]string, error) {
	names, err := DecodePruning(data)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which snapshots are being deleted: %s: %w; remove the file, after which those that are still there are listed again",
			r.Store.Pruning(), err)
	}
	return names, nil
}

// Finish deletes the snapshots. Cut off at any point, it is gone on with by whoever comes next: a snapshot that is gone already is no
// error, and the file that names it stays until that is on disk, as a deleted subvolume may be back after a power cut.
func (p *Pruning) Finish() error {
	defer p.file.Close()
	var left []string
	var errs []error
	for _, name := range p.Names {
		if err := p.r.Host.Subvolumes.Delete(p.r.snapshotPath(name)); err != nil {
			left, errs = append(left, name), append(errs, err)
		}
	}
	if err := snapshot.Sync(p.r.Store.Dir()); err != nil {
		return errors.Join(append(errs, err)...)
	}
	// What cannot be deleted stays named, and is tried again; the names of the others are free.
	if len(left) > 0 {
		return errors.Join(append(errs, p.r.intend(left))...)
	}
	if err := p.r.dropIntent(); err != nil {
		return err
	}
	return durable.SyncDir(p.r.Store.State())
}

// FinishPruning goes on with a pruning that was cut off, or waits for who is at it, and says how many snapshots it deleted. Its
// caller holds the store's lock, so that no other begins.
func (r *Reconciler) FinishPruning(ctx context.Context) (deleted int, err error) {
	for {
		p, err := r.pruning()
		if err != nil {
			return 0, err
		}
		if p != nil {
			return len(p.Names), p.Finish()
		}
		if there, err := exists(r.Store.Pruning()); err != nil || !there {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, errStopped
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PruningCutOff says whether snapshots are named that are still to be deleted and nobody is at it.
func (r *Reconciler) PruningCutOff() (bool, error) {
	p, err := r.pruning()
	if p == nil || err != nil {
		return false, err
	}
	return true, p.file.Close()
}

// Snapshots lists the snapshots that there are, in order: not those that are being deleted. One whose record cannot be read is
// among them, with its problem.
func (r *Reconciler) Snapshots() ([]snapshot.Info, error) {
	before, err := r.deleting()
	if err != nil {
		return nil, err
	}
	infos, err := snapshot.List(r.Store.Snapshots())
	if err != nil {
		return nil, err
	}
	// A pruning that began in between may have deleted some of those that were listed.
	after, err := r.deleting()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(infos, func(i snapshot.Info) bool {
		return slices.Contains(before, i.Name) || slices.Contains(after, i.Name)
	}), nil
}

// deleting names the snapshots that are being deleted.
func (r *Reconciler) deleting() ([]string, error) {
	data, err := os.ReadFile(r.Store.Pruning())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell which snapshots are being deleted: %w", err)
	}
	return r.decodePruning(data)
}
