package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A filesystem is one as statfs(2) tells it.
type filesystem struct {
	btrfs bool
	name  string
	free  uint64 // bytes
}

func filesystemOf(path string) (filesystem, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return filesystem{}, fmt.Errorf("cannot look at the file system of %s: %w", path, err)
		}
	}
	return filesystem{
		btrfs: st.Type == unix.BTRFS_SUPER_MAGIC,
		name:  filesystemName(int64(st.Type)),
		free:  st.Bavail * uint64(st.Bsize),
	}, nil
}

func filesystemName(magic int64) string {
	switch magic {
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	case 0x2fc12fc1:
		return "zfs"
	}
	return fmt.Sprintf("file system type %#x", magic)
}

// existing is the nearest of path and the directories above it that is there.
func existing(path string) (string, error) {
	for {
		_, err := os.Stat(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path, err
		}
		path = filepath.Dir(path)
	}
}

// backs says whether the mounted source is a loop device on the file image.
func backs(image, source string) bool {
	if !strings.HasPrefix(source, "/dev/loop") {
		return false
	}
	file, err := os.Stat(image)
	if err != nil {
		return false
	}
	backing, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(source), "loop", "backing_file"))
	if err != nil {
		return false
	}
	used, err := os.Stat(strings.TrimSuffix(string(backing), "\n"))
	return err == nil && os.SameFile(file, used)
}
