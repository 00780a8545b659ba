package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// A way leads to the directory in which paths have their last name.
type way struct {
	to      string
	names   map[string][]state.Addr // the last names, and whose they are
	through []passage
	end     *dir // nil: it leads nowhere at present
	lost    bool // it has to be found again
}

// A passage is a directory that a way leads through, and the name that is looked up there.
type passage struct {
	*dir
	name string
}

// A dir is a directory that is watched. Two paths may lead to one, over a bind mount: the kernel watches it once, under the path by
// which it was found first.
type dir struct {
	id     inode
	path   string
	passed map[string]map[*way]bool // by the names that are looked up in it on the way
	ends   map[*way]bool
	users  int
}

type inode struct{ dev, ino uint64 }

// A listener knows which paths an event is about.
type listener struct {
	host   state.Host
	events *fsnotify.Watcher
	ways   map[*way]bool // all there are
	byID   map[inode]*dir
	byPath map[string]*dir // as this process sees it
	lost   []*way
	named  []state.Addr
}

// hear notes what an event is about. It has the path of what stands in a directory, or of the directory itself when that is moved or
// removed; one path may be both.
func (l *listener) hear(e fsnotify.Event) {
	const itself = fsnotify.Create | fsnotify.Remove | fsnotify.Rename | fsnotify.Chmod
	at := path.Clean(e.Name)
	if d := l.byPath[at]; d != nil && e.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
		for _, ways := range d.passed {
			l.lose(ways)
		}
		l.lose(d.ends)
	}
	parent, name := path.Split(at)
	d := l.byPath[path.Clean(parent)]
	if d == nil {
		return
	}
	if e.Op&itself != 0 {
		l.lose(d.passed[name])
	}
	for w := range d.ends {
		l.named = append(l.named, w.names[name]...)
	}
}

// lose has ways be found again, and everything at their ends be named.
func (l *listener) lose(ways map[*way]bool) {
	for w := range ways {
		if !w.lost {
			w.lost, l.lost = true, append(l.lost, w)
		}
	}
}

// find finds the ways that are lost.
func (l *listener) find() error {
	if len(l.lost) == 0 {
		return nil
	}
	t, err := hostfs.FS{Root: l.host.Root}.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	for _, w := range l.lost {
		before := w.through
		l.leave(w)
		if err := l.follow(t, w); err != nil {
			return err
		}
		for _, p := range before {
			l.drop(p.dir)
		}
		w.lost = false
	}
	l.lost = nil
	return nil
}

// follow goes a way, and watches each directory on it before something is looked up in it: what changes from then on is heard of.
func (l *listener) follow(t *hostfs.Tree, w *way) error {
	end, err := t.Follow(w.to, func(in, name string) error {
		d, err := l.watch(in)
		if d == nil {
			return err
		}
		if d.passed[name] == nil {
			d.passed[name] = map[*way]bool{}
		}
		d.passed[name][w] = true
		d.users++
		w.through = append(w.through, passage{d, name})
		return nil
	})
	if err != nil || end == "" {
		return err
	}
	if w.end, err = l.watch(end); w.end != nil {
		w.end.ends[w] = true
		w.end.users++
		w.through = append(w.through, passage{dir: w.end})
	}
	return err
}

// leave takes a way out of the directories that it led through.
func (l *listener) leave(w *way) {
	for _, p := range w.through {
		if delete(p.passed[p.name], w); len(p.passed[p.name]) == 0 {
			delete(p.passed, p.name)
		}
		delete(p.ends, w)
		p.users--
	}
	w.through, w.end = nil, nil
}

// watch watches a directory, which it may do already; nil when it went meanwhile, of which the one above it tells. The kernel
// forgets what it watches there when the directory is moved or replaced, so that it is told anew each time.
func (l *listener) watch(inside string) (*dir, error) {
	at := l.host.Path(inside)
	if inside == "/" && l.host.Root != "" {
		at = l.host.Root
	}
	id, err := inodeOf(at)
	if err == nil {
		if was := l.byPath[at]; was != nil && was.id != id {
			l.forget(at)
		}
		d := l.byID[id]
		switch {
		case d == nil:
			d = &dir{id: id, path: at, passed: map[string]map[*way]bool{}, ends: map[*way]bool{}}
		case d.path != at:
			if there, err := inodeOf(d.path); err != nil || there != id { // it was moved
				l.forget(d.path)
				d.path = at
			}
		}
		if err = l.events.Add(d.path); err == nil {
			l.byID[id], l.byPath[d.path] = d, d
			return d, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return nil, nil
	case errors.Is(err, unix.ENOSPC):
		err = errors.New("all watches are in use; let this user have more: sysctl fs.inotify.max_user_watches=NUMBER, see inotify(7)")
	}
	return nil, fmt.Errorf("cannot watch %s: %w", at, err)
}

func inodeOf(path string) (inode, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return inode{st.Dev, st.Ino}, err
}

// drop ends watching a directory that nothing leads through any more.
func (l *listener) drop(d *dir) {
	if d.users > 0 || l.byID[d.id] != d {
		return
	}
	delete(l.byID, d.id)
	if l.byPath[d.path] == d {
		l.forget(d.path)
	}
}

// forget ends watching what was found at a path.
func (l *listener) forget(path string) {
	delete(l.byPath, path)
	_ = l.events.Remove(path) // fails where the kernel has forgotten it already
}
