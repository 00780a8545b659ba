package hostfs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Ancestors are the directories above a path, the root left out, the highest first.
func Ancestors(target string) []string {
	var above []string
	for i := 1; i < len(target); i++ {
		if target[i] == '/' {
			above = append(above, target[:i])
		}
	}
	return above
}

// Missing lists the directories above target that do not exist, the highest first.
func (t *Tree) Missing(target string) ([]string, error) {
	above := Ancestors(target)
	for i := len(above) - 1; i >= 0; i-- {
		d, err := t.acquire(above[i])
		if err == nil {
			t.release(d)
			return above[i+1:], nil
		}
		if !IsMissing(err) {
			return nil, err
		}
	}
	return above, nil
}

// MkdirParents makes the missing directories above target, 0755 and root's, and says which it made.
func (t *Tree) MkdirParents(target string) (made []string, err error) {
	missing, err := t.Missing(target)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	defer t.forget(false)
	for _, dir := range missing {
		t.forget(false)
		err := t.In(dir, func(d *Dir, name string) error {
			if me := os.Geteuid(); d.uid != 0 && int(d.uid) != me {
				return &BlockedError{Path: target, Reason: fmt.Sprintf(
					"%s is missing, and uid %d owns the directory it belongs in; declare it as a file of type \"directory\" with that owner", dir, d.uid)}
			}
			return d.mkdirParent(name)
		})
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return made, err
		}
		made = append(made, dir)
	}
	return made, nil
}

// mkdirParent makes a directory that is missing above a target. It appears with its owner and mode, as Mkdir's do: one that a cut
// has left with others would stay so, as it is no longer missing. What the cut left instead, rmdirParent removes.
func (d *Dir) mkdirParent(name string) error {
	return d.alone(func() error { return d.Mkdir(name, parent()) })
}

// rmdirParent removes a directory that mkdirParent made, and what is left of an attempt. One to which somebody has given another
// owner or mode is theirs, too: it could not be made again as it was.
func (d *Dir) rmdirParent(name string) error {
	return d.alone(func() error {
		if err := d.ClearTemp(name); err != nil {
			return err
		}
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		if made := (Attributes{UID: int(st.Uid), GID: int(st.Gid), Mode: st.Mode & 0o7777}); made != parent() {
			return nil
		}
		return d.Rmdir(name)
	})
}

// parent is what mkdirParent gives a directory.
func parent() Attributes { return Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o755} }

// alone keeps those out that make the same directory for another target: it has one temporary name for all.
func (d *Dir) alone(f func() error) error {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return d.fail("open", "", err)
	}
	defer unix.Close(fd)
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	if err != nil {
		return d.fail("lock", "", err)
	}
	return f()
}

// RemoveEmpty removes those of the directories that are empty and as MkdirParents made them, the deepest first. What is in use
// is left.
func (t *Tree) RemoveEmpty(dirs []string) error {
	dirs = slices.Clone(dirs)
	slices.SortFunc(dirs, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")), cmp.Compare(a, b))
	})
	var errs []error
	for _, dir := range slices.Compact(dirs) {
		err := t.In(dir, func(d *Dir, name string) error { return d.rmdirParent(name) })
		switch {
		case err == nil:
			t.gone(dir)
		case IsMissing(err), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EBUSY):
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// gone forgets a directory that was removed.
func (t *Tree) gone(dir string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, d := range t.dirs {
		if d.err == nil && d.users == 0 && (p == dir || strings.HasPrefix(p, dir+"/") || path.Clean(p) == dir) {
			unix.Close(d.fd)
			delete(t.dirs, p)
		}
	}
}
