package stage

import (
	"fmt"
	"path"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
)

// update takes a target from one state to another.
func (a *applier) update(before, after *File) error {
	err := a.at(after.Target, func(d *hostfs.Dir, name string, s *standing) error {
		switch {
		case before.Backup == "" && after.Backup != "":
			if s == nil {
				return a.make(d, name, after)
			}
			if so, err := a.so(d, name, s, after); so || err != nil {
				return err
			}
			return a.setAside(d, name, after)
		case before.Backup != "" && after.Backup == "":
			return a.putBack(d, name, s, before, after)
		}
		return a.replace(d, name, s, before, after)
	})
	if hostfs.IsMissing(err) { // the parent is gone
		return a.create(after)
	}
	return err
}

// putBack is setAside turned round: it takes back what is aside. before is ours, after is what it was.
func (a *applier) putBack(d *hostfs.Dir, name string, s *standing, before, after *File) error {
	if s != nil {
		back, err := s.is(after)
		if err != nil {
			return err
		}
		if back {
			return a.clearBackup(before)
		}
		ours, err := a.ours(s, before)
		if err != nil {
			return err
		}
		if !ours {
			return fmt.Errorf("what stood at %s cannot be put back from %s: something else stands there now; move it away", before.Target, before.Backup)
		}
	}
	there, err := d.Exists(path.Base(before.Backup))
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("what stood at %s cannot be put back: %s is gone", before.Target, before.Backup)
	}
	return a.restore(d, name, before)
}

// clearBackup removes what an exchange that was cut off, or never came to it, left of ours under the backup's name.
func (a *applier) clearBackup(before *File) error {
	return a.at(before.Backup, func(d *hostfs.Dir, backup string, s *standing) error {
		if s == nil {
			return nil
		}
		if ours, err := s.is(before); err != nil || !ours {
			return err
		}
		if s.stat.IsDir() {
			return d.Rmdir(backup)
		}
		return d.Unlink(backup)
	})
}

// replace puts after in the place of before, which is ours.
func (a *applier) replace(d *hostfs.Dir, name string, s *standing, before, after *File) error {
	if s == nil {
		return a.make(d, name, after)
	}
	if so, err := a.so(d, name, s, after); so || err != nil {
		return err
	}
	if before.Type != typeSymlink && before.Type != typeDirectory && !before.isCopy() {
		return fmt.Errorf("%s is not opdbus' own, and is left alone", before.Target)
	}
	is, err := s.is(before)
	if err != nil {
		return err
	}
	if !is && after.Type == typeCopyOnce && s.stat.IsRegular() {
		return nil // an edit is left alone
	}
	if !is {
		return fmt.Errorf("%s changed since it was planned, and is left alone; make a new plan", before.Target)
	}
	attributes, err := a.owners.attributes(after.Mode, after.Owner, after.Group)
	if err != nil {
		return err
	}
	switch {
	case before.Type == typeDirectory && after.Type == typeDirectory:
		return d.SetDirectory(name, attributes)
	case before.Type == typeDirectory:
		if err := d.Rmdir(name); err != nil {
			return err
		}
		return a.make(d, name, after)
	case after.Type == typeDirectory:
		if err := d.Unlink(name); err != nil {
			return err
		}
		return a.make(d, name, after)
	case after.Type == typeSymlink:
		return d.ReplaceSymlink(after.Link, name)
	}
	return d.ReplaceFile(name, attributes, a.fill(after))
}
