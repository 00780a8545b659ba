package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// An FS is the file system below a root, which is empty for the host's own.
type FS struct {
	Root string
	// Closed are directories, as seen from inside the root, that nothing here may lead into.
	Closed []string
}

// A BlockedError says that a path cannot be gone to: something in it is no directory, or leads where it must not lead.
type BlockedError struct{ Path, Reason string }

func (e *BlockedError) Error() string { return "cannot go to " + e.Path + ": " + e.Reason }

// A Tree is a file system being worked on. It keeps the directories it has walked to, so that many things in one
// directory cost one walk; it should therefore not live longer than the piece of work it was opened for.
type Tree struct {
	root   entry
	closed []entry

	mu   sync.Mutex
	dirs map[string]*Dir
}

// maxDirs bounds how many directories a tree keeps open.
const maxDirs = 512

// Open begins work below the root.
func (f FS) Open() (*Tree, error) {
	root := f.Root
	if root == "" {
		root = "/"
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the root directory: %w", &fs.PathError{Op: "open", Path: root, Err: err})
	}
	t := &Tree{dirs: map[string]*Dir{}}
	if t.root, err = stat(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	for _, c := range f.Closed {
		d, err := t.chase(c)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Close()
			return nil, err
		}
		t.closed = append(t.closed, d)
		unix.Close(d.fd)
	}
	return t, nil
}

// Close ends the work.
func (t *Tree) Close() {
	t.forget(true)
	unix.Close(t.root.fd)
}

// CheckTarget says what is wrong with a path as a target: it has to be absolute, clean and more than the root.
func CheckTarget(target string) error {
	switch {
	case !strings.HasPrefix(target, "/"):
		return fmt.Errorf("%q is not an absolute path", target)
	case strings.ContainsRune(target, 0):
		return fmt.Errorf("%q contains a zero byte", target)
	case path.Clean(target) != target:
		return fmt.Errorf("%q is not a clean path; write %q", target, path.Clean(target))
	case target == "/":
		return errors.New("the root directory itself cannot be a target")
	}
	return nil
}

// In walks to the directory that target stands in and calls f with it and target's name in it. A parent that does not
// exist is an error that wraps fs.ErrNotExist; one that must not be gone to is a *BlockedError.
func (t *Tree) In(target string, f func(d *Dir, name string) error) error {
	if err := CheckTarget(target); err != nil {
		return err
	}
	at := strings.LastIndexByte(target, '/')
	parent, name := target[:at], target[at+1:]
	if parent == "" {
		parent = "/"
	}
	d, err := t.acquire(parent)
	if err != nil {
		return err
	}
	defer t.release(d)
	return f(d, name)
}

func (t *Tree) acquire(dir string) (*Dir, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.dirs[dir]; d != nil {
		d.users++
		return d, d.err
	}
	e, err := t.chase(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(t.dirs) >= maxDirs {
		t.drop(false)
	}
	d := &Dir{entry: e, Path: dir, users: 1, err: err}
	t.dirs[dir] = d
	return d, err
}

func (t *Tree) release(d *Dir) {
	t.mu.Lock()
	d.users--
	t.mu.Unlock()
}

// forget closes the directories that nobody uses: those that were not there, or all.
func (t *Tree) forget(all bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(!all)
}

func (t *Tree) drop(missingOnly bool) {
	for path, d := range t.dirs {
		switch {
		case d.err != nil:
			delete(t.dirs, path)
		case d.users == 0 && !missingOnly:
			unix.Close(d.fd)
			delete(t.dirs, path)
		}
	}
}
