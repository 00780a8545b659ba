package reconciler

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

// Subvolumes within one that is restored are in no snapshot of it. They go along: those of a subvolume that is exchanged are moved, which
// is one step for each; of a mounted root they are copied, since the host goes on with them until the next boot.

// nestedIn are the subvolumes in the one at dir that have something in them, as seen from there. systemd-tmpfiles(8) makes empty ones.
func nestedIn(dir string) (full []string, err error) {
	nested, err := snapshot.Nested(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range nested {
		entries, err := os.ReadDir(n)
		if err != nil {
			return nil, fmt.Errorf("cannot look into the subvolume %s: %w", n, err)
		}
		if len(entries) > 0 {
			rel, err := filepath.Rel(dir, n)
			if err != nil {
				return nil, err
			}
			full = append(full, rel)
		}
	}
	return full, nil
}

// noPlace says why there is no place for a subvolume at a path in the one at dir: the directories above it must be there, none of them by
// way of a link, and there itself may be an empty directory only, as a snapshot has it in place of a subvolume.
func noPlace(dir, path string) error {
	at := dir
	elements := strings.Split(path, "/")
	for i, element := range elements {
		at = filepath.Join(at, element)
		info, err := os.Lstat(at)
		last := i == len(elements)-1
		switch {
		case last && errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("there is no directory %s", filepath.Join(elements[:i+1]...))
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", filepath.Join(elements[:i+1]...))
		}
	}
	entries, err := os.ReadDir(at)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s has something in it", path)
	}
	return err
}

// clearPlace makes room for a subvolume at a path in the one at dir.
func clearPlace(dir, path string) (at string, err error) {
	if err := noPlace(dir, path); err != nil {
		return "", fmt.Errorf("cannot put the subvolume %s into %s: %w", path, dir, err)
	}
	at = filepath.Join(dir, path)
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return at, nil
}

// carry moves the subvolumes in the one at from to their places in the one at to. Those of a mounted root have been copied.
func (run *run) carry(from, to string) error {
	if run.restores.Root {
		return nil
	}
	if there, err := exists(from); err != nil || !there {
		return err
	}
	return eachNested(from, to, os.Rename)
}

// copyNested copies the subvolumes in the one at from, and those in them, to their places in the one at to.
func copyNested(sub state.Subvolumes, from, to string) error {
	return eachNested(from, to, func(inner, at string) error {
		if err := sub.Copy(inner, at); err != nil {
			return err
		}
		return copyNested(sub, inner, at)
	})
}

// eachNested does something with each subvolume in the one at from, and its place in the one at to, which is clear.
func eachNested(from, to string, do func(inner, at string) error) error {
	nested, err := nestedIn(from)
	if err != nil {
		return err
	}
	for _, n := range nested {
		at, err := clearPlace(to, n)
		if err != nil {
			return err
		}
		if err := do(filepath.Join(from, n), at); err != nil {
			return err
		}
	}
	return nil
}

// deleteTree deletes the copy at path, with the copies in it.
func deleteTree(sub state.Subvolumes, path string) error {
	if there, err := exists(path); err != nil || !there {
		return err
	}
	nested, err := snapshot.Nested(path)
	if err != nil {
		return err
	}
	for _, n := range nested {
		if err := deleteTree(sub, n); err != nil {
			return err
		}
	}
	return sub.Delete(path)
}
