package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// Save puts aside the content of copies that the changes destroy and that the node's tree does not hold: those that
// somebody has edited. It is in the snapshot that is taken next, and taking back finds it there.
func (f *files) Save(ctx context.Context, site state.Site, changes []state.ChangeOf[File]) error {
	var lost []*File
	for _, c := range changes {
		if !destroys(c) {
			continue
		}
		if held, err := holds(filepath.Join(site.Dir, c.Before.Path), c.Before.Digest); err != nil {
			return err
		} else if !held {
			lost = append(lost, c.Before)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	if err := emptySaved(site, lost); err != nil {
		return err
	}
	for _, file := range lost {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.save(t, site, file); err != nil {
			return fmt.Errorf("cannot put the content of %s aside: %w", file.Target, err)
		}
	}
	return nil
}

// destroys says whether a change leaves nothing of what the copy before it held.
func destroys(c state.ChangeOf[File]) bool {
	if c.Before == nil || !c.Before.isCopy() || c.Before.Digest == "" {
		return false
	}
	if c.After == nil || c.After.Target != c.Before.Target {
		return true
	}
	return c.After.Digest != c.Before.Digest && (c.After.Backup == "" || c.Before.Backup != "")
}

// holds says whether a file has the content with a digest.
func holds(file, digest string) (bool, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, err
	}
	found, err := tree.Copy(nil, tree.Raw(fd))
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", file, err)
	}
	return found == digest, nil
}

// emptySaved removes what was put aside in earlier runs: their snapshots hold it.
func emptySaved(site state.Site, keep []*File) error {
	dir := filepath.Join(site.Dir, savedDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot put content aside: %w", err)
	}
	saved, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot put content aside: %w", err)
	}
	for _, s := range saved {
		if slices.ContainsFunc(keep, func(f *File) bool { return savedName(f.Digest) == s.Name() }) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, s.Name())); err != nil {
			return fmt.Errorf("cannot put content aside: %w", err)
		}
	}
	return nil
}

// save copies what stands at a target into the node's tree.
func (f *files) save(t *hostfs.Tree, site state.Site, file *File) error {
	saved, err := hostfs.FS{Root: site.Dir}.Open()
	if err != nil {
		return err
	}
	defer saved.Close()
	return t.In(file.Target, func(from *hostfs.Dir, name string) error {
		src, err := from.Open(name)
		if err != nil {
			return err
		}
		defer src.Close()
		return saved.In("/"+savedDir+"/"+savedName(file.Digest), func(to *hostfs.Dir, name string) error {
			owner := hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o600}
			return to.ReplaceFile(name, owner, func(dst *os.File) error {
				if err := copyOpen(int(dst.Fd()), int(src.Fd()), file.Digest); errors.Is(err, errOther) {
					return fmt.Errorf("it changed since it was planned; make a new plan")
				} else if err != nil {
					return err
				}
				return nil
			})
		})
	})
}

// index remembers the digests of the copies that were made, so that they need not be read again while they do not
// change. They stand where others write, so each is read once more when a later change is sure to show in its times.
func (a *applier) index(changes []state.ChangeOf[File]) error {
	touched := map[string]bool{}
	var made []string
	for _, c := range changes {
		if c.Before != nil && c.Before.isCopy() {
			touched[indexed(c.Before.Target)] = true
		}
		if c.After != nil && c.After.isCopy() {
			touched[indexed(c.After.Target)] = true
			made = append(made, c.After.Target)
		}
	}
	if len(touched) == 0 {
		return nil
	}
	if len(made) > 0 {
		time.Sleep(time.Duration(tree.Grain()))
	}
	file := a.host.index(a.site.Node, ofCopies)
	entries := slices.DeleteFunc(tree.Load(file).Entries(), func(e tree.Entry) bool { return touched[e.Path] })
	for _, target := range made {
		known := time.Now().UnixNano()
		err := a.at(target, func(_ *hostfs.Dir, _ string, s *standing) error {
			if s == nil || !s.stat.IsRegular() {
				return nil
			}
			digest, err := s.content()
			entries = append(entries, tree.Entry{Path: indexed(target), Stat: s.stat, Digest: digest, Known: known})
			return err
		})
		if err != nil && !hostfs.IsMissing(err) {
			return err
		}
	}
	if len(entries) == 0 {
		return tree.Drop(file)
	}
	slices.SortFunc(entries, func(x, y tree.Entry) int { return tree.Compare(x.Path, y.Path) })
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of the indexes: %w", err)
	}
	return tree.Save(file, entries)
}

// indexed is how an index names a target.
func indexed(target string) string { return strings.TrimPrefix(target, "/") }
