package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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

// An UndeletedError says that some snapshots could not be deleted. They are gone for everybody all the same, and are tried again.
type UndeletedError struct{ Err error }

func (e *UndeletedError) Error() string { return e.Err.Error() }

// Unwrap gives the causes.
func (e *UndeletedError) Unwrap() error { return e.Err }

// Prune says durably that snapshots are deleted; the deleting is Finish's. Its caller holds the store's lock, and has
// finished what was being deleted before. When it fails they are as they were.
func (r *Reconciler) Prune(ctx context.Context, victims []snapshot.Info) (*Pruning, error) {
	names := make([]string, len(victims))
	for i, v := range victims {
		names[i] = v.Name
	}
	var p *Pruning
	err := r.intend(names)
	if err == nil {
		p, err = r.awaitPruning(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot delete snapshots: %w", errors.Join(err, r.dropIntent()))
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
	return durable.SyncDir(r.Store.State())
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
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errPruned
	}
	if err != nil {
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
		if err := p.r.intend(left); err != nil {
			return errors.Join(append(errs, err)...)
		}
		return &UndeletedError{errors.Join(errs...)}
	}
	return p.r.dropIntent()
}

// FinishPruning goes on with a pruning that was cut off, or waits for who is at it, and says how many snapshots it deleted. Its
// caller holds the store's lock, so that no other begins.
func (r *Reconciler) FinishPruning(ctx context.Context) (deleted int, err error) {
	p, err := r.awaitPruning(ctx)
	switch {
	case err != nil:
		return 0, err
	case p == nil:
		return 0, r.clearIntent()
	}
	return len(p.Names), p.Finish()
}

// finishPruningOrWarn is FinishPruning before a run, which takes names of snapshots again. What cannot be deleted keeps its name, and keeps no
// run from beginning.
func (r *Reconciler) finishPruningOrWarn(ctx context.Context) error {
	var left *UndeletedError
	_, err := r.FinishPruning(ctx)
	if errors.As(err, &left) {
		r.Log.Warn("cannot delete all snapshots that are to go; it is tried again by the next run", "error", err)
		return nil
	}
	return err
}

// awaitPruning takes over the pruning that there is, when nobody is at it any more; nil when there is none.
func (r *Reconciler) awaitPruning(ctx context.Context) (*Pruning, error) {
	for {
		if p, err := r.pruning(); p != nil || err != nil {
			return p, err
		}
		if there, err := exists(r.Store.Pruning()); !there || err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, errStopped
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PruningCutOff says whether snapshots are named that are still to be deleted, or were about to be, and nobody is at it.
func (r *Reconciler) PruningCutOff() (bool, error) {
	p, err := r.pruning()
	if err != nil {
		return false, err
	}
	if p == nil {
		return durable.Left(r.Store.Pruning()), nil
	}
	return true, p.file.Close()
}

// clearIntent takes away what one who was killed has left of writing the names.
func (r *Reconciler) clearIntent() error {
	if !durable.Left(r.Store.Pruning()) {
		return nil
	}
	return durable.Clear(r.Store.Pruning())
}
