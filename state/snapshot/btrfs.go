package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// Btrfs makes, copies and exchanges btrfs subvolumes. What it makes and exchanges is there in one step or not at all; a
// snapshot is on disk when Snapshot returns, with what its source held unsynced. What Exchange swapped and Delete removed
// may be as before after a power cut, unless a snapshot or Sync came in between.
type Btrfs struct{}

var _ state.Subvolumes = Btrfs{}

// Create makes an empty subvolume. It is an error, fs.ErrExist, when something is there.
func (Btrfs) Create(path string) error {
	path, err := filepath.Abs(path)
	if err == nil {
		err = retry(func() error { return create(path) })
	}
	return failure(err, "create subvolume", path)
}

// Snapshot makes dst a copy of the subvolume src. A subvolume that holds others is refused, since a snapshot would hold
// empty directories in their place.
func (Btrfs) Snapshot(src, dst string, readonly bool) error {
	return copySubvolume(src, dst, readonly, func(src string) error {
		nested, err := Nested(src)
		if err == nil && len(nested) > 0 {
			err = nestedError("snapshot", src, nested)
		}
		return err
	})
}

// Copy makes dst a copy of the subvolume src that can be written to, with empty directories in place of the subvolumes that src holds.
func (Btrfs) Copy(src, dst string) error {
	return copySubvolume(src, dst, false, func(string) error { return nil })
}

func copySubvolume(src, dst string, readonly bool, check func(src string) error) error {
	src, err := filepath.Abs(src)
	if err != nil {
		return failure(err, "snapshot", src)
	}
	if dst, err = filepath.Abs(dst); err != nil {
		return failure(err, "make snapshot", dst)
	}
	switch is, err := IsSubvolume(src); {
	case err != nil:
		return failure(err, "snapshot", src)
	case !is:
		return fmt.Errorf("cannot snapshot %s: it is not a btrfs subvolume", src)
	}
	if err := check(src); err != nil {
		return err
	}
	return failure(retry(func() error { return snapshot(src, dst, readonly) }), "make snapshot", dst)
}

// Delete removes a subvolume, and is no error where there is none. A subvolume that holds others is refused.
func (Btrfs) Delete(path string) error {
	path, err := filepath.Abs(path)
	if err == nil {
		err = destroy(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ENOTEMPTY):
		if nested, _ := Nested(path); len(nested) > 0 {
			return nestedError("delete subvolume", path, nested)
		}
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("cannot delete subvolume %s: it is not a btrfs subvolume: %w", path, err)
	}
	return failure(err, "delete subvolume", path)
}

// Exchange swaps two subvolumes in one step, so that neither path is ever missing (renameat2(2), RENAME_EXCHANGE).
func (Btrfs) Exchange(a, b string) error {
	err := retry(func() error { return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) })
	return failure(err, "exchange "+a+" with", b)
}

// IsSubvolume says whether path is the root of a btrfs subvolume: a directory there with inode 256.
func IsSubvolume(path string) (bool, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return false, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Ino != firstFreeObjectID {
		return false, nil
	}
	var sfs unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &sfs) }); err != nil {
		return false, fmt.Errorf("cannot look at the file system of %s: %w", path, err)
	}
	return sfs.Type == unix.BTRFS_SUPER_MAGIC, nil
}

// Sync brings everything written to the file system that path is on to disk (syncfs(2)).
func Sync(path string) error {
	fd, err := openDir(path)
	if err != nil {
		return fmt.Errorf("cannot sync the file system of %s: %w", path, err)
	}
	defer unix.Close(fd)
	return failure(retry(func() error { return unix.Syncfs(fd) }), "sync the file system of", path)
}

func nestedError(what, path string, nested []string) error {
	return fmt.Errorf("cannot %s %s: it holds other subvolumes, which a snapshot leaves out: %s; move them elsewhere or delete them",
		what, path, strings.Join(nested, ", "))
}

// failure says what could not be done to which path, why, and what helps.
func failure(err error, what, path string) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot %s %s: %w", what, path, err)
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w; free some space on its file system or delete snapshots that are no longer needed", err)
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w; raise the quota or delete snapshots that are no longer needed", err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w; remount its file system writable, and look into the kernel's log for why it is not", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w; it takes root", err)
	case errors.Is(err, unix.ENOTTY):
		return fmt.Errorf("%w; it is not on btrfs", err)
	}
	return err
}

// retry does it again for as long as a signal interrupts it.
func retry(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
