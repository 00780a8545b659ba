// Package marked looks after configuration files that opdbus writes whole, such as drop-ins of a service: their first line says who
// wrote them, so that a file of somebody else's is told apart and left alone. It may import the standard library, state, hostfs
// and golang.org/x/sys/unix.
package marked

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

const (
	// Mark is the first line of each file.
	Mark = "# Written by opdbus, which puts back what is changed here by hand.\n"
	// limit is how large a file is read.
	limit = 1 << 20
)

// A File is what stands at a path.
type File struct {
	There   bool
	Ours    bool   // it has the mark
	Text    string // without the mark
	Blocked string // why it cannot be such a file: it is no regular one
	Link    string // where it leads, of a symlink
	Owner   hostfs.Attributes
}

// Files are those below a root.
type Files struct{ FS hostfs.FS }

// Read reads a file. It follows no link at the end of the path.
func (f Files) Read(path string) (File, error) {
	t, err := f.FS.Open()
	if err != nil {
		return File{}, err
	}
	defer t.Close()
	return ReadIn(t, path)
}

// ReadIn is Read in a tree that is open already.
func ReadIn(t *hostfs.Tree, path string) (file File, err error) {
	err = t.In(path, func(d *hostfs.Dir, name string) error {
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		file.There = true
		file.Owner = hostfs.Attributes{UID: int(st.Uid), GID: int(st.Gid), Mode: st.Mode & 0o7777}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
		case unix.S_IFLNK:
			if file.Link, err = d.Readlink(name); err != nil {
				return err
			}
			file.Blocked = "a symlink to " + file.Link
		default:
			file.Blocked = "no regular file"
		}
		return nil
	})
	var blocked *hostfs.BlockedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return File{}, nil
	case errors.As(err, &blocked):
		return File{There: true, Blocked: blocked.Reason}, nil
	case err != nil || file.Blocked != "":
		return file, err
	}
	data, err := t.ReadFile(path, limit)
	if err != nil {
		return file, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if !utf8.Valid(data) {
		file.Blocked = "a file that is no text"
		return file, nil
	}
	file.Text, file.Ours = strings.CutPrefix(string(data), Mark)
	return file, nil
}

// Write has the file at path be of this text and marked, in one step. One that is there and not ours is an error.
func (f Files) Write(path, text string) error {
	t, err := f.FS.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.MkdirParents(path); err != nil {
		return err
	}
	live, err := ReadIn(t, path)
	if err != nil {
		return err
	}
	if live.There && !live.Ours {
		return fmt.Errorf("%s is not opdbus' own any more, and is left alone; make a new plan", path)
	}
	owner := hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	if live.There && live.Text == text && live.Owner == owner {
		return t.In(path, func(d *hostfs.Dir, name string) error { return d.ClearTemp(name) })
	}
	return Put(t, path, live.There, Mark+text, owner)
}

// Replace has the file at path be of this text, marked or not, whoever wrote what stands there: that must be a regular file or nothing.
func (f Files) Replace(path, text string, owner hostfs.Attributes) error {
	t, err := f.FS.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	live, err := ReadIn(t, path)
	if err != nil {
		return err
	}
	if live.Blocked != "" {
		return fmt.Errorf("%s is %s, and is left alone", path, live.Blocked)
	}
	whole := live.Text
	if live.Ours {
		whole = Mark + whole
	}
	if live.There && whole == text && live.Owner == owner {
		return t.In(path, func(d *hostfs.Dir, name string) error { return d.ClearTemp(name) })
	}
	return Put(t, path, live.There, text, owner)
}

// Put writes a file in one step, in place of what is there, if anything, which the caller has looked at.
func Put(t *hostfs.Tree, path string, there bool, text string, owner hostfs.Attributes) error {
	fill := func(file *os.File) error {
		_, err := file.WriteString(text)
		return err
	}
	return t.In(path, func(d *hostfs.Dir, name string) error {
		if !there {
			return d.CreateFile(name, owner, fill)
		}
		return d.ReplaceFile(name, owner, fill)
	})
}

// Remove removes the file at path when it is ours, and the directories that were made for it when these are empty.
func (f Files) Remove(path string, parents []string) error {
	t, err := f.FS.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	live, err := ReadIn(t, path)
	if err != nil {
		return err
	}
	return Clear(t, path, live.Ours, parents)
}

// Clear removes the file at path, if it is to go, with what a cut has left of its writing, and those of its parents that are empty.
func Clear(t *hostfs.Tree, path string, goes bool, parents []string) error {
	if goes {
		if err := t.In(path, func(d *hostfs.Dir, name string) error { return d.Unlink(name) }); err != nil {
			return err
		}
	}
	err := t.In(path, func(d *hostfs.Dir, name string) error { return d.ClearTemp(name) })
	if err != nil && !hostfs.IsMissing(err) {
		return err
	}
	return t.RemoveEmpty(parents)
}

// Parents are the directories above path that have to be made for it, and those that made has, as another's of ours that goes is not
// to take them along.
func (f Files) Parents(path string, made []string) ([]string, error) {
	t, err := f.FS.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	missing, err := t.Missing(path)
	var blocked *hostfs.BlockedError
	if err != nil && !errors.As(err, &blocked) {
		return nil, err
	}
	var parents []string
	for _, dir := range hostfs.Ancestors(path) {
		if slices.Contains(missing, dir) || slices.Contains(made, dir) {
			parents = append(parents, dir)
		}
	}
	return parents, nil
}

// NoteParents notes of the objects that come, a file each, which directories are to be made for it, and of those that stay which were.
func NoteParents[T state.Object](f Files, items []state.Planned[T], of func(*T) (path string, parents *[]string)) error {
	var made []string
	for _, it := range items {
		if it.Made != nil {
			_, parents := of(it.Made)
			made = append(made, *parents...)
		}
	}
	for _, it := range items {
		if it.Want == nil {
			continue
		}
		path, parents := of(it.Want)
		if it.Made != nil {
			_, were := of(it.Made)
			*parents = *were
			continue
		}
		missing, err := f.Parents(path, made)
		if err != nil {
			return err
		}
		*parents = missing
	}
	return nil
}

// Sync brings files to disk.
func (f Files) Sync(paths []string) error {
	t, err := f.FS.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.Sync(paths)
}
