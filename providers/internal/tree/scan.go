package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a directory is looked at. The zero value looks at all of it and reads every file.
type Options struct {
	// Index knows the digests of unchanged files; nil knows none.
	Index *Index
	// Known knows digests too, whatever the index says; nil knows none.
	Known func(path string) (digest string)
	// Skip leaves out paths, with what is below them.
	Skip func(path string) bool
	// Read says which files are worth reading for their digest, when it is not known; nil: all.
	Read func(path string) bool
}

// Scan lists what is below a directory, in the order of Compare. It follows no links and changes nothing.
func Scan(ctx context.Context, dir string, o Options) ([]Entry, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	s := &scan{Options: o, ctx: ctx, root: fd, dir: dir, now: time.Now().UnixNano(), cursor: o.Index.cursor()}
	if err := s.walk(fd, dir, 0); err != nil {
		return nil, err
	}
	return s.entries, s.digests()
}

type scan struct {
	Options
	ctx     context.Context
	root    int
	dir     string
	now     int64
	cursor  cursor
	entries []Entry
	unknown []int // entries to be read
	names   namesBuffer
}

// maxDepth bounds how deep directories may be nested, since each level holds one open.
const maxDepth = 256

// walk lists one directory and what is below it.
func (s *scan) walk(fd int, full string, depth int) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("%s is nested more than %d directories deep", full, maxDepth)
	}
	names, err := s.names.read(fd)
	if err != nil {
		return &fs.PathError{Op: "readdir", Path: full, Err: err}
	}
	slices.Sort(names)
	stats, err := statAll(fd, names)
	if err != nil {
		return &fs.PathError{Op: "lstat", Path: full, Err: err}
	}
	s.entries = slices.Grow(s.entries, len(names))
	for i, name := range names {
		child := full + "/" + name
		path := child[len(s.dir)+1:]
		if s.Skip != nil && s.Skip(path) {
			continue
		}
		s.entries = append(s.entries, Entry{Path: path, Full: child, Stat: stats[i], Known: s.now})
		e := &s.entries[len(s.entries)-1]
		switch {
		case e.Stat.IsRegular():
			s.digest(e)
		case e.Stat.IsLink():
			if e.Link, err = readlink(fd, name, e.Stat.Size); err != nil {
				return &fs.PathError{Op: "readlink", Path: child, Err: err}
			}
		case e.Stat.IsDir():
			if err := s.descend(fd, name, child, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// atOnce is how many files are worth a worker of their own to look at them.
const atOnce = 1024

// statAll looks at a directory's files, those of a large one side by side.
func statAll(fd int, names []string) ([]Stat, error) {
	stats := make([]Stat, len(names))
	look := func(from, to int) error {
		var st unix.Stat_t
		for i := from; i < to; i++ {
			if err := unix.Fstatat(fd, names[i], &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			stats[i] = StatOf(&st)
		}
		return nil
	}
	workers := min(runtime.GOMAXPROCS(0), len(names)/atOnce)
	if workers < 2 {
		return stats, look(0, len(names))
	}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { errs[w] = look(w*len(names)/workers, (w+1)*len(names)/workers) })
	}
	wg.Wait()
	return stats, errors.Join(errs...)
}

func (s *scan) descend(fd int, name, full string, depth int) error {
	below, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: full, Err: err}
	}
	defer unix.Close(below)
	return s.walk(below, full, depth+1)
}

func readlink(fd int, name string, size int64) (string, error) {
	for size := max(size, 63) + 1; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(fd, name, buf)
		if err != nil || n < len(buf) {
			return string(buf[:max(n, 0)]), err
		}
	}
}

// digest finds a file's digest without reading it, or notes that it has to be read.
func (s *scan) digest(e *Entry) {
	if s.Known != nil {
		if e.Digest = s.Known(e.Path); e.Digest != "" {
			return
		}
	}
	if e.Digest = s.cursor.digest(e.Path, e.Stat); e.Digest != "" {
		return
	}
	if s.Read == nil || s.Read(e.Path) {
		s.unknown = append(s.unknown, len(s.entries)-1)
	}
}

// digests reads the files whose digest is not known, side by side.
func (s *scan) digests() error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, min(runtime.GOMAXPROCS(0), len(s.unknown)))
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(s.unknown) {
					return
				}
				if errs[w] = s.ctx.Err(); errs[w] == nil {
					errs[w] = s.read(&s.entries[s.unknown[i]])
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read computes a file's digest. A file that is being written is read again until it holds still.
func (s *scan) read(e *Entry) error {
	for range 3 {
		known := time.Now().UnixNano()
		digest, before, after, err := hashAt(s.root, e.Path)
		if err != nil {
			return &fs.PathError{Op: "read", Path: e.Full, Err: err}
		}
		if before == after {
			e.Stat, e.Digest, e.Known = after, digest, known
			return nil
		}
	}
	return fmt.Errorf("%s changes while it is read", e.Full)
}
