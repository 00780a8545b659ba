// Package snapshottest is the contract that every implementation of state.Subvolumes passes, and the btrfs file systems
// to test it on. It is imported by tests only.
package snapshottest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Need skips the test, saying why, where it does not run as root or a program is missing. With CI=true it fails there.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lack(t, "needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			Lack(t, "needs %s", p)
		}
	}
}

// Lack skips the test for what the machine lacks. With CI=true it fails.
func Lack(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Mount makes a btrfs file system of some MiB, at least 16, and mounts it until the test ends. Below 256 MiB it is one
// with mixed block groups, which is full soon.
func Mount(t testing.TB, mib int) (dir string) {
	t.Helper()
	Need(t, "mkfs.btrfs", "mount", "umount")
	base := t.TempDir()
	image := filepath.Join(base, "image")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, int64(mib)<<20))
	args := []string{"--quiet", image}
	if mib < 256 {
		args = append(args, "--mixed")
	}
	run(t, "mkfs.btrfs", args...)
	dir = filepath.Join(base, "btrfs")
	require.NoError(t, os.Mkdir(dir, 0o755))
	run(t, "mount", "-t", "btrfs", "-o", "loop", image, dir)
	t.Cleanup(func() { Unmount(t, dir) })
	return dir
}

// Unmount takes dir's file system away at once, even while something in it is open.
func Unmount(t testing.TB, dir string) {
	t.Helper()
	if err := unix.Unmount(dir, 0); err != nil {
		require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH), "cannot unmount %s", dir)
	}
}

// Remount makes the file system at dir read-only or writable, with mount(8)'s option ro or rw.
func Remount(t testing.TB, dir, option string) {
	t.Helper()
	run(t, "mount", "-o", "remount,"+option, dir)
}

// Fill writes to dir until its file system is full, down to the last small file.
func Fill(t testing.TB, dir string) {
	t.Helper()
	for size, n := 1<<20, 0; size > 0; n++ {
		name := filepath.Join(dir, "fill"+strconv.Itoa(n))
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			require.ErrorIs(t, err, unix.ENOSPC)
			size /= 16
		}
	}
	unix.Sync()
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}
