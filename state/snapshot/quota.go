package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sysBtrfs has a directory for each btrfs file system that is mounted (btrfs(5), sysfs), and in that qgroups where quotas are enabled.
const sysBtrfs = "/sys/fs/btrfs"

// Quotas says whether quotas are enabled on the btrfs file system that path is on. With them, deleting snapshots takes btrfs a time that
// grows with all that they share, in which the host hardly answers.
func Quotas(path string) (enabled bool, err error) {
	var args fsInfoArgs
	if err := withDir(path, func(fd int) error { return ioctl(fd, iocFsInfo, &args) }); err != nil {
		return false, failure(err, "tell whether there are quotas on the file system of", path)
	}
	id := args.fsid
	dir := filepath.Join(sysBtrfs, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	if _, err := os.Stat(dir); err != nil {
		return false, fmt.Errorf("cannot tell whether there are quotas on the file system of %s: %w", path, err)
	}
	state, err := os.ReadFile(filepath.Join(dir, "qgroups", "enabled"))
	if errors.Is(err, fs.ErrNotExist) { // the file came later than the directory
		_, err = os.Stat(filepath.Join(dir, "qgroups"))
		state = []byte("1")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && strings.TrimSpace(string(state)) == "1", err
}
