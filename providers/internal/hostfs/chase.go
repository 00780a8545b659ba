package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links a path may lead through, as for the kernel.
const maxLinks = 40

// An entry is something open and what is known of it.
type entry struct {
	fd       int
	uid      uint32
	mode     uint32
	dev, ino uint64
}

func stat(fd int) (entry, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return entry{}, fmt.Errorf("cannot look at a directory: %w", err)
	}
	return entry{fd: fd, uid: st.Uid, mode: st.Mode, dev: st.Dev, ino: st.Ino}, nil
}

func (e entry) is(kind uint32) bool       { return e.mode&unix.S_IFMT == kind }
func (e entry) same(o entry) bool         { return e.dev == o.dev && e.ino == o.ino }
func (e entry) writableByEverybody() bool { return e.mode&unix.S_IWOTH != 0 }
func (e entry) sticky() bool              { return e.mode&unix.S_ISVTX != 0 }

// A walk is on its way from the root to a directory.
type walk struct {
	tree  *Tree
	to    string
	stack []entry  // the directories from the root to where it is
	names []string // of the stack, for messages
	from  entry    // what it came from last: a directory, or a link in it
	links int
	visit func(dir, name string) error // told of each name before it is looked up; nil: nobody is
}

func (t *Tree) walk(to string) *walk {
	return &walk{tree: t, to: to, stack: []entry{t.root}, names: []string{""}, from: t.root}
}

// chase walks to a directory. What it returns is open and the caller's to close.
func (t *Tree) chase(dir string) (entry, error) {
	w := t.walk(dir)
	defer w.back(1)
	if err := w.all(); err != nil {
		return entry{}, err
	}
	top := w.top()
	fd, err := unix.Openat(top.fd, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return entry{}, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	top.fd = fd
	return top, nil
}

// all walks the whole way.
func (w *walk) all() error {
	linked := 0 // how many of the rest a link has said
	for rest := split(w.to); len(rest) > 0; {
		more, err := w.step(rest[0])
		if IsMissing(err) && linked > 0 {
			return w.blocked("%s is missing, where a link in the path leads", w.where(rest[0])) // what is missing there is not ours to make
		}
		if err != nil {
			return err
		}
		linked = max(linked-1, 0) + len(more)
		rest = append(more, rest[1:]...)
	}
	return nil
}

func split(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}

func (w *walk) top() entry { return w.stack[len(w.stack)-1] }

// back closes all but the first n directories.
func (w *walk) back(n int) {
	for _, e := range w.stack[n:] {
		unix.Close(e.fd)
	}
	w.stack, w.names = w.stack[:n], w.names[:n]
}

// step takes one component. It returns what a link says has to be walked instead.
func (w *walk) step(name string) ([]string, error) {
	switch name {
	case ".":
		return nil, nil
	case "..":
		if len(w.stack) > 1 {
			w.back(len(w.stack) - 1)
		}
		return nil, w.enter(w.top(), w.where(""))
	}
	where := w.where(name)
	dir := w.top()
	if w.visit != nil {
		if err := w.visit(w.where(""), name); err != nil {
			return nil, err
		}
	}
	fd, err := unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: where, Err: err}
	}
	e, err := stat(fd)
	if err == nil {
		err = w.enter(e, where)
	}
	if err == nil {
		err = w.planted(dir, e, where)
	}
	switch {
	case err != nil:
		unix.Close(fd)
		return nil, err
	case e.is(unix.S_IFDIR):
		w.stack, w.names = append(w.stack, e), append(w.names, name)
		return nil, nil
	case e.is(unix.S_IFLNK):
		defer unix.Close(fd)
		return w.follow(e, where)
	}
	unix.Close(fd)
	return nil, w.blocked("%s is not a directory", where)
}

// where names a component for messages.
func (w *walk) where(name string) string { return "/" + path.Join(path.Join(w.names...), name) }

func (w *walk) blocked(format string, args ...any) error {
	return &BlockedError{Path: w.to, Reason: fmt.Sprintf(format, args...)}
}

// enter is the rule of CHASE_SAFE, from where the walk came last to e.
func (w *walk) enter(e entry, where string) error {
	if w.from.uid != 0 && w.from.uid != e.uid {
		return w.blocked("what uid %d owns leads to %s, which uid %d owns", w.from.uid, where, e.uid)
	}
	for _, c := range w.tree.closed {
		if e.same(c) {
			return w.blocked("%s is opdbus' own", where)
		}
	}
	w.from = e
	return nil
}

// planted refuses what anybody may have put into a directory that everybody can write to.
func (w *walk) planted(dir, e entry, where string) error {
	if !dir.writableByEverybody() {
		return nil
	}
	if e.uid != 0 && e.uid != dir.uid {
		return w.blocked("uid %d has put %s into a directory that everybody can write to", e.uid, where)
	}
	if e.is(unix.S_IFLNK) && !dir.sticky() {
		return w.blocked("the link %s is in a directory where everybody can replace it", where)
	}
	return nil
}

// follow reads a link. An absolute one starts again at the root.
func (w *walk) follow(link entry, where string) ([]string, error) {
	if w.links++; w.links > maxLinks {
		return nil, w.blocked("it leads through more than %d links", maxLinks)
	}
	text, err := readlink(link.fd, "")
	if err != nil {
		return nil, &fs.PathError{Op: "readlink", Path: where, Err: err}
	}
	if strings.HasPrefix(text, "/") {
		w.back(1)
		return split(text), w.enter(w.top(), "/")
	}
	return split(text), nil
}

// readlink reads a link of any length.
func readlink(dir int, name string) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dir, name, buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// IsMissing says whether an error is that something does not exist.
func IsMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
