package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// news are what was heard and not looked at yet. Those who hear put it here and never wait.
type news struct {
	mu    sync.Mutex
	named map[state.Addr]bool
	gone  ledger.Holder // of the lock, who has ended
	err   error
	some  chan struct{} // holds one when there are some
}

func newNews() *news { return &news{named: map[state.Addr]bool{}, some: make(chan struct{}, 1)} }

// hear is told of what something happened to.
func (n *news) hear(named []state.Addr, err error) {
	n.mu.Lock()
	for _, a := range named {
		n.named[a] = true
	}
	n.err = errors.Join(n.err, err)
	n.mu.Unlock()
	n.wake()
}

// wake has it be seen what there is to look at.
func (n *news) wake() {
	select {
	case n.some <- struct{}{}:
	default:
	}
}

// take takes what was heard of; an error stays.
func (n *news) take() (map[state.Addr]bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	named := n.named
	n.named = map[state.Addr]bool{}
	return named, n.err
}

// put puts back what was not looked at after all.
func (n *news) put(named map[state.Addr]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.Copy(n.named, named)
}

// ended is told that the lock's holder has ended.
func (n *news) ended(h ledger.Holder) {
	n.mu.Lock()
	n.gone = h
	n.mu.Unlock()
	n.wake()
}

func (n *news) hasEnded(h ledger.Holder) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone.PID == h.PID && n.gone.Start == h.Start && n.gone.Boot == h.Boot
}

// hearStore wakes when the ledger is replaced and when the lock changes hands, until ctx ends.
func (r *Reconciler) hearStore(ctx context.Context, n *news) error {
	fail := func(err error) error { return fmt.Errorf("cannot watch the store: %w", err) }
	dir := r.Store.State()
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return fail(err)
	}
	if err := events.Add(dir); err != nil {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = errors.New("there is none; opdbus init makes it")
		case errors.Is(err, unix.ENOSPC):
			err = errors.New("all watches are in use; let this user have more: sysctl fs.inotify.max_user_watches=NUMBER, see inotify(7)")
		}
		return errors.Join(fail(err), events.Close())
	}
	go func() {
		defer events.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-events.Events:
				switch filepath.Clean(e.Name) {
				case r.Store.Lock(), r.Store.Ledger():
					n.wake()
				case dir:
					if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
						n.hear(nil, fail(errors.New("it has gone")))
						return
					}
				}
			case err := <-events.Errors:
				if !errors.Is(err, fsnotify.ErrEventOverflow) { // otherwise something was missed, and is looked at now
					n.hear(nil, fail(err))
					return
				}
				n.wake()
			}
		}
	}()
	return nil
}
