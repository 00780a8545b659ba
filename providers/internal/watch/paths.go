package watch

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A Path is where something stands that belongs to an object, as seen from inside the root. An object may have several.
type Path struct {
	Addr state.Addr
	Path string
}

// queue is how many events are taken out of the kernel's queue while others are dealt with.
const queue = 4096

// Paths tells of what happens to any of the paths, from when it returns until ctx ends: state.Watcher's promise for files.
func Paths(ctx context.Context, root string, paths []Path, tell func(named []state.Addr, err error)) error {
	if len(paths) == 0 {
		return nil
	}
	events, err := fsnotify.NewBufferedWatcher(queue)
	if err != nil {
		if errors.Is(err, unix.EMFILE) {
			err = fmt.Errorf("%w; let this user have more listeners: sysctl fs.inotify.max_user_instances=NUMBER, see inotify(7)", err)
		}
		return fmt.Errorf("cannot watch the file system: %w", err)
	}
	l := &listener{host: state.Host{Root: root}, events: events, ways: map[*way]bool{}, byID: map[inode]*dir{}, byPath: map[string]*dir{}}
	ways := map[string]*way{}
	for _, p := range paths {
		parent, name := path.Split(p.Path)
		parent = path.Clean(parent)
		w := ways[parent]
		if w == nil {
			w = &way{to: parent, names: map[string][]state.Addr{}}
			ways[parent], l.ways[w] = w, true
			w.lost, l.lost = true, append(l.lost, w)
		}
		w.names[name] = append(w.names[name], p.Addr)
	}
	if err := l.find(); err != nil {
		return errors.Join(err, events.Close())
	}
	go func() {
		err := l.listen(ctx, tell)
		_ = events.Close() // nothing was written to it
		if err != nil {
			tell(nil, err)
		}
	}()
	return nil
}

// listen tells until ctx ends, a burst of events at once.
func (l *listener) listen(ctx context.Context, tell func([]state.Addr, error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-l.events.Events:
			l.hear(e)
		case err := <-l.events.Errors:
			if err := l.miss(err); err != nil {
				return err
			}
		}
		if err := l.rest(); err != nil {
			return err
		}
		// The ways are found again before anybody is told: who looks then misses nothing that happens from then on.
		for _, w := range l.lost {
			for _, addrs := range w.names {
				l.named = append(l.named, addrs...)
			}
		}
		if err := l.find(); err != nil {
			return err
		}
		if len(l.named) > 0 && ctx.Err() == nil {
			tell(l.named, nil)
			l.named = nil
		}
	}
}

// rest hears what else has happened by now.
func (l *listener) rest() error {
	for range queue {
		select {
		case e := <-l.events.Events:
			l.hear(e)
		case err := <-l.events.Errors:
			if err := l.miss(err); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// miss has everything be looked at again when the kernel had to drop events.
func (l *listener) miss(err error) error {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		return fmt.Errorf("cannot watch the file system any longer: %w", err)
	}
	l.lose(l.ways)
	return nil
}
