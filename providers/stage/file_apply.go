package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// ApplyAll makes the changes: first what goes, then directories, then the rest side by side, and at last the directories that go.
// Each change looks at what stands there right before it acts, so that it can be made again from wherever a cut has left it, and
// turned round.
func (f *files) ApplyAll(ctx context.Context, site state.Site, changes []state.ChangeOf[File]) error {
	t, err := f.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	var gone, emptied, directories, rest []state.ChangeOf[File]
	for _, c := range changes {
		switch {
		case c.After == nil && c.Before != nil && c.Before.Type == typeDirectory:
			emptied = append(emptied, c)
		case c.After == nil:
			gone = append(gone, c)
		case c.After.Type == typeDirectory:
			directories = append(directories, c)
		default:
			rest = append(rest, c)
		}
	}
	slices.SortStableFunc(emptied, func(a, b state.ChangeOf[File]) int { return byDepth(b.Before, a.Before) })
	slices.SortStableFunc(directories, func(a, b state.ChangeOf[File]) int { return byDepth(a.After, b.After) })
	a := &applier{looker: f.looker(t), files: f, site: site}
	if err := a.removeAll(gone); err != nil {
		return err
	}
	if err := a.all(directories); err != nil {
		return err
	}
	err = each(ctx, len(rest), func(from, to int) error {
		w := &applier{looker: f.looker(t), files: f, site: site}
		return w.all(rest[from:to])
	})
	if err != nil {
		return err
	}
	for i := range emptied { // what was in them may have moved; between two there may be one that was made for the inner
		if err := a.removeAll(emptied[i : i+1]); err != nil {
			return err
		}
	}
	if err := a.tidy(gone, directories, rest); err != nil { // what went may have been in a directory that is as it was made only now
		return err
	}
	return a.index(changes)
}

// removeAll removes what goes, and the directories that were made for it and are empty then.
func (a *applier) removeAll(gone []state.ChangeOf[File]) error {
	if err := a.all(gone); err != nil {
		return err
	}
	return a.tidy(gone)
}

// byDepth orders things with directories before what is in them.
func byDepth(a, b *File) int {
	depth := func(f *File) int { return strings.Count(f.Target, "/") }
	return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a.Target, b.Target))
}

// An applier makes changes, one after the other.
type applier struct {
	*looker
	files *files
	site  state.Site
}

func (a *applier) all(changes []state.ChangeOf[File]) error {
	for i := range changes {
		c := &changes[i]
		if err := a.change(c.Before, c.After); err != nil {
			return fmt.Errorf("cannot make %s: %w", c.Addr, err)
		}
	}
	return nil
}

// tidy removes the directories that were made for what is no longer there, where they are empty.
func (a *applier) tidy(groups ...[]state.ChangeOf[File]) error {
	seen := map[string]bool{}
	var dirs []string
	for _, changes := range groups {
		for _, c := range changes {
			if c.Before == nil || c.After != nil && c.After.Target == c.Before.Target {
				continue
			}
			for _, dir := range c.Before.Parents {
				if seen[dir] || !within(c.Before.Target, dir) {
					continue
				}
				if seen[dir] = true; a.site.Holds == nil || !a.site.Holds(File{Target: dir}.Thing()) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	if err := a.RemoveEmpty(dirs); err != nil {
		return fmt.Errorf("cannot remove empty directories: %w", err)
	}
	return nil
}

func (a *applier) change(before, after *File) error {
	switch {
	case before == nil && after == nil:
		return nil
	case after == nil:
		return a.remove(before)
	case before == nil:
		return a.create(after)
	case before.Target != after.Target:
		if err := a.create(after); err != nil {
			return err
		}
		return a.remove(before)
	}
	return a.update(before, after)
}

// at calls f with what stands at a target; nil when nothing does. A missing parent is an error.
func (a *applier) at(target string, f func(d *hostfs.Dir, name string, s *standing) error) error {
	return a.In(target, func(d *hostfs.Dir, name string) error {
		s, err := a.stand(d, name, target, a.site.Node)
		if hostfs.IsMissing(err) {
			s, err = nil, nil
		}
		if err != nil {
			return err
		}
		return f(d, name, s)
	})
}

// create makes a file where nothing stands.
func (a *applier) create(after *File) error {
	if after.Type == typeSymlink && after.Backup == "" { // nearly all there are, with one system call
		err := a.In(after.Target, func(d *hostfs.Dir, name string) error { return d.Symlink(after.Link, name) })
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrExist) && !hostfs.IsMissing(err) {
			return err
		}
	}
	if _, err := a.MkdirParents(after.Target); err != nil {
		return err
	}
	a.files.left.Delete(after.Target)
	return a.at(after.Target, func(d *hostfs.Dir, name string, s *standing) error {
		if s == nil {
			return a.make(d, name, after)
		}
		if so, err := a.so(d, name, s, after); so || err != nil {
			return err
		}
		switch {
		case after.Type == typeCopyOnce && s.stat.IsRegular():
			return nil // it is written where nothing is, and only there
		case after.Backup != "":
			return a.setAside(d, name, after)
		}
		return fmt.Errorf("%s appeared since it was planned, and is left alone; make a new plan", after.Target)
	})
}

// so says whether what stands there is what is wanted; then what a cut left beside it goes.
func (a *applier) so(d *hostfs.Dir, name string, s *standing, want *File) (bool, error) {
	so, err := s.is(want)
	if !so || err != nil {
		return false, err
	}
	return true, d.ClearTemp(name)
}

// make makes a file where nothing stands.
func (a *applier) make(d *hostfs.Dir, name string, f *File) error {
	switch f.Type {
	case typeSymlink:
		return d.Symlink(f.Link, name)
	case typeDirectory, typeCopy, typeCopyOnce:
		attributes, err := a.owners.attributes(f.Mode, f.Owner, f.Group)
		if err != nil {
			return err
		}
		if f.Type == typeDirectory {
			return d.Mkdir(name, attributes)
		}
		return d.CreateFile(name, attributes, a.fill(f))
	}
	return fmt.Errorf("cannot make a %s", f.Type)
}

// fill writes a copy's content.
func (a *applier) fill(f *File) func(*os.File) error {
	return func(file *os.File) error {
		return fill(int(file.Fd()), f.Digest, sources(a.site, f.Path, f.Digest))
	}
}

// setAside makes a file under the name of the backup and exchanges it with what stands at the target, so that the target
// is missing at no moment. What a cut left of an earlier attempt under that name is ours.
func (a *applier) setAside(d *hostfs.Dir, name string, after *File) error {
	return a.at(after.Backup, func(_ *hostfs.Dir, backup string, s *standing) error {
		if s == nil {
			if err := a.make(d, backup, after); err != nil {
				return err
			}
		} else if ours, err := s.is(after); err != nil || !ours {
			return orConflict(err, fmt.Errorf("%s is in the way of keeping what stands at %s; move it away", after.Backup, after.Target))
		}
		return d.Exchange(backup, name)
	})
}

// remove removes what opdbus made; what it did not make is left.
func (a *applier) remove(before *File) error {
	err := a.at(before.Target, func(d *hostfs.Dir, name string, s *standing) error {
		if err := d.ClearTemp(name); err != nil {
			return err
		}
		if s == nil {
			return a.restore(d, name, before)
		}
		ours, err := a.ours(s, before)
		if err != nil || !ours {
			return err
		}
		if before.Backup != "" {
			return a.restore(d, name, before)
		}
		if !s.stat.IsDir() {
			return d.Unlink(name)
		}
		err = d.Rmdir(name)
		if notEmpty(err) {
			a.files.left.Store(before.Target, true)
			return nil
		}
		return err
	})
	var blocked *hostfs.BlockedError
	if hostfs.IsMissing(err) || errors.As(err, &blocked) {
		return nil // nothing there, or nothing that could be gone to: in either case it is not ours
	}
	return err
}

// ours says whether what stands there is what before says that we made. What we own and somebody has changed since is an error.
func (a *applier) ours(s *standing, before *File) (bool, error) {
	is, err := s.is(before)
	if is || err != nil {
		return is, err
	}
	live, err := s.as(before)
	if err != nil {
		return false, err
	}
	live.Target = before.Target
	if before.Backup != "" {
		if live.Backup, err = a.backup(before.Backup); err != nil {
			return false, err
		}
	}
	if a.files.Owns(before, live) {
		return false, fmt.Errorf("%s changed since it was planned (%s); make a new plan", before.Target, difference(live, *before))
	}
	return false, nil
}

// restore puts back what a file of ours stands in place of; without it, what stands there is left.
func (a *applier) restore(d *hostfs.Dir, name string, before *File) error {
	if before.Backup == "" {
		return nil
	}
	return a.at(before.Backup, func(_ *hostfs.Dir, backup string, s *standing) error {
		switch {
		case s == nil:
			return nil
		case s.stat.IsDir() || before.Type == typeDirectory: // a directory cannot be renamed over something else
			return a.swapBack(d, name, backup, before)
		}
		return d.Rename(backup, name)
	})
}

// swapBack exchanges a backup with what stands in its place, and removes the latter.
func (a *applier) swapBack(d *hostfs.Dir, name, backup string, before *File) error {
	switch there, err := d.Exists(name); {
	case err != nil:
		return err
	case !there:
		return d.Rename(backup, name)
	}
	if err := d.Exchange(backup, name); err != nil {
		return err
	}
	if before.Type == typeDirectory {
		return d.Rmdir(backup)
	}
	return d.Unlink(backup)
}
