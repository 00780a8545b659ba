package systemd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
)

const (
	unitDir = "/etc/systemd/system"
	// mark is the first line of every file that is written here.
	mark = marked.Mark
	// limit is how large a unit file is read.
	limit = 1 << 20
)

func pathOf(unit string) string { return unitDir + "/" + unit }

// unitFiles are the files in /etc/systemd/system and below it.
type unitFiles struct{ fs hostfs.FS }

// A unitFile is what stands at the path of a unit file.
type unitFile struct {
	there   bool
	masked  bool   // it is a link to /dev/null
	blocked string // it is no file that could be one
	content string // without the mark
	marked  bool
}

// isFile says that it is one, which may be written anew.
func (u unitFile) isFile() bool { return u.there && !u.masked && u.blocked == "" }

func (f unitFiles) read(t *hostfs.Tree, path string) (u unitFile, err error) {
	err = t.In(path, func(d *hostfs.Dir, name string) error {
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		u.there = true
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			link, err := d.Readlink(name)
			if u.masked = link == "/dev/null"; !u.masked {
				u.blocked = "a symlink to " + link
			}
			return err
		case unix.S_IFREG:
			if st.Size == 0 { // an empty file masks as well
				u.masked = true
				return nil
			}
		default:
			u.blocked = "no regular file"
			return nil
		}
		return nil
	})
	var blocked *hostfs.BlockedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unitFile{}, nil
	case errors.As(err, &blocked):
		return unitFile{there: true, blocked: blocked.Reason}, nil
	case err != nil || u.masked || u.blocked != "":
		return u, err
	}
	data, err := t.ReadFile(path, limit)
	if err != nil {
		return u, fmt.Errorf("cannot read unit file %s: %w", path, err)
	}
	if !utf8.Valid(data) {
		u.blocked = "a file that is no text"
		return u, nil
	}
	u.content, u.marked = strings.CutPrefix(string(data), mark)
	return u, nil
}

// write makes a file say what it is to. What is there and is none of the two that it may be is left.
func (f unitFiles) write(path, content string, marked bool, before *string) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.MkdirParents(path); err != nil {
		return err
	}
	live, err := f.read(t, path)
	if err != nil {
		return err
	}
	owner := hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	fill := func(file *os.File) error {
		if marked {
			if _, err := file.WriteString(mark); err != nil {
				return err
			}
		}
		_, err := file.WriteString(content)
		return err
	}
	return t.In(path, func(d *hostfs.Dir, name string) error {
		switch {
		case !live.there:
			return d.CreateFile(name, owner, fill)
		case live.isFile() && live.content == content && live.marked == marked:
			return d.ClearTemp(name)
		case !live.isFile() || !live.marked && (before == nil || *before != live.content):
			return fmt.Errorf("%s changed since it was planned, and is left alone; make a new plan", path)
		}
		return d.ReplaceFile(name, owner, fill)
	})
}

// remove removes a file of ours, and the directories that were made for it.
func (f unitFiles) remove(path string, before *string, parents []string) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	live, err := f.read(t, path)
	if err != nil {
		return err
	}
	if live.isFile() && (live.marked || before != nil && *before == live.content) {
		if err := t.In(path, func(d *hostfs.Dir, name string) error { return d.Unlink(name) }); err != nil {
			return err
		}
	}
	err = t.In(path, func(d *hostfs.Dir, name string) error { return d.ClearTemp(name) })
	if err != nil && !hostfs.IsMissing(err) {
		return err
	}
	return t.RemoveEmpty(parents)
}

// sync brings what was written to disk: the files, and the links by which units are enabled.
func (f unitFiles) sync(paths []string) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.Sync(paths)
}
