package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opdbus/opdbus/state"
)

// write puts the record into the subvolume at dir in place of the one there. It does not sync: the snapshot does.
func (r Record) write(dir string) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(RecordDir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if info, err := root.Lstat(RecordDir); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is not a directory; move it away", filepath.Join(dir, RecordDir)))
	}
	if err := root.Chmod(RecordDir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(RecordDir, recordFile)
	temp := name + ".new"
	if err := missing(root.Remove(temp)); err != nil {
		return err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = r.keep(root)
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// keep puts the record that is there aside when a step begins, and drops that, with what Savers put aside, when it ends.
func (r Record) keep(root *os.Root) error {
	previous := filepath.Join(RecordDir, previousFile)
	if r.Phase == Post {
		return errors.Join(missing(root.Remove(previous)), root.RemoveAll(state.SavedDir))
	}
	return missing(root.Rename(filepath.Join(RecordDir, recordFile), previous))
}

// Restore puts back the record that a run's step found in the subvolume at dir, if the step came to replacing it, and drops
// what the step put aside.
func Restore(dir string, run int) error {
	if err := restore(dir, run); err != nil {
		return fmt.Errorf("cannot restore the record of %s: %w", dir, err)
	}
	return nil
}

func restore(dir string, run int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(state.SavedDir); err != nil {
		return err
	}
	name, previous := filepath.Join(RecordDir, recordFile), filepath.Join(RecordDir, previousFile)
	if err := missing(root.Remove(name + ".new")); err != nil {
		return err
	}
	if _, err := root.Lstat(previous); err == nil {
		return root.Rename(previous, name)
	}
	if head, err := readHead(RecordPath(dir)); err == nil && head.Run == run {
		return missing(root.Remove(name))
	}
	return nil
}

// missing forgives that a file is not there.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
