package stage

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
)

// A job is one file or symlink to be made in the tree.
type job struct {
	before, after *Payload
	attributes    hostfs.Attributes
}

// run does the jobs side by side.
func (b *builder) run(ctx context.Context, jobs []job) error {
	return each(ctx, len(jobs), func(from, to int) error {
		w := &worker{builder: b, fd: -1}
		defer w.leave()
		for i := from; i < to; i++ {
			if err := w.make(&jobs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// A worker makes files and keeps the directory of the last one open.
type worker struct {
	*builder
	fd  int
	dir string
}

func (w *worker) leave() {
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd = -1
}

// enter opens a directory of the tree.
func (w *worker) enter(dir string) error {
	if w.fd >= 0 && w.dir == dir {
		return nil
	}
	w.leave()
	if dir == "" {
		dir = "."
	}
	fd, err := tree.OpenBelow(w.root, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		w.fd, w.dir = fd, strings.TrimSuffix(dir, ".")
	}
	return err
}

func (w *worker) make(j *job) error {
	dir, name := path.Split(j.after.Path)
	err := w.enter(dir)
	if err == nil {
		switch {
		case j.after.Type == typeSymlink:
			err = w.link(j.after.Link, name)
		case j.before != nil && j.before.Type == typeFile && j.before.Digest == j.after.Digest:
			err = w.set(j, name)
		default:
			err = w.write(j, name)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot make %s in the stage: %w", j.after.Path, err)
	}
	return nil
}

func (w *worker) link(text, name string) error {
	err := unix.Symlinkat(text, w.fd, name)
	if err == unix.EEXIST {
		if err = unix.Unlinkat(w.fd, name, 0); err == nil {
			err = unix.Symlinkat(text, w.fd, name)
		}
	}
	return err
}

// set changes a file's attributes only.
func (w *worker) set(j *job, name string) error {
	fd, err := unix.Openat(w.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return w.write(j, name)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if digest, err := tree.Copy(nil, tree.Raw(fd)); err != nil || digest != j.after.Digest {
		return w.write(j, name)
	}
	return j.attributes.Set(fd)
}

// write makes a file anew. It is open for reading too, so that what was shared can be verified.
func (w *worker) write(j *job, name string) error {
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_RDWR | unix.O_NOFOLLOW | unix.O_CLOEXEC
	perm := j.attributes.Mode & 0o777
	fd, err := unix.Openat(w.fd, name, flags, perm)
	if err == unix.EEXIST {
		if err = unix.Unlinkat(w.fd, name, 0); err == nil {
			fd, err = unix.Openat(w.fd, name, flags, perm)
		}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := w.content(fd, j.after); err != nil {
		return err
	}
	return j.attributes.Set(fd)
}

func (w *worker) content(fd int, p *Payload) error {
	if p.Content != nil && tree.Digest([]byte(*p.Content)) == p.Digest {
		_, err := tree.Raw(fd).Write([]byte(*p.Content))
		return err
	}
	from := sources(w.site, p.Path, p.Digest)
	if p.From != "" {
		from = append([]string{p.From}, from...)
	}
	return fill(fd, p.Digest, from)
}
