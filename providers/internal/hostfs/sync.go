package hostfs

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Sync brings to disk what was written in the directories of the targets, with one call for each file system they are
// on. A directory that is gone is synced with its nearest parent.
func (t *Tree) Sync(targets []string) error {
	done := map[uint64]bool{}
	seen := map[string]bool{}
	for _, target := range targets {
		for _, dir := range upward(target) {
			if seen[dir] {
				break
			}
			seen[dir] = true
			d, err := t.acquire(dir)
			if IsMissing(err) {
				continue
			}
			if err != nil {
				return err
			}
			err = d.syncfs(done)
			t.release(d)
			if err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// upward are the directories above a path, the nearest first, the root last.
func upward(target string) []string {
	above := Ancestors(target)
	dirs := make([]string, 0, len(above)+1)
	for i := len(above) - 1; i >= 0; i-- {
		dirs = append(dirs, above[i])
	}
	return append(dirs, "/")
}

// syncfs syncs the directory's file system unless that was done. Device numbers tell file systems apart; each btrfs
// subvolume has its own, and syncing one file system twice is no harm.
func (d *Dir) syncfs(done map[uint64]bool) error {
	if done[d.dev] {
		return nil
	}
	done[d.dev] = true
	return syncfs(d.fd, d.Path)
}

func syncfs(dir int, path string) error {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot sync: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("cannot sync: %w", &fs.PathError{Op: "syncfs", Path: path, Err: err})
	}
	return nil
}

// Syncfs brings to disk all that was written to the file system of a path of this process.
func Syncfs(path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot sync: %w", &fs.PathError{Op: "open", Path: path, Err: err})
	}
	defer unix.Close(fd)
	return syncfs(fd, path)
}
