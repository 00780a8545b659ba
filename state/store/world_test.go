package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
	"github.com/opdbus/opdbus/state/store"
)

// onBtrfs is a host whose root is on btrfs.
func onBtrfs(t *testing.T) state.Host {
	return state.Host{Root: snapshottest.Mount(t, 512), Subvolumes: snapshot.Btrfs{}}
}

// onTmpfs is a host whose root is on a tmpfs of some MiB, and whose store is unmounted when the test ends.
func onTmpfs(t *testing.T, mib int) state.Host {
	t.Helper()
	snapshottest.Need(t, "mkfs.btrfs", "mount")
	root := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", mib)))
	t.Cleanup(func() { snapshottest.Unmount(t, root) })
	host := state.Host{Root: root, Subvolumes: snapshot.Btrfs{}}
	t.Cleanup(func() { unmount(host) })
	return host
}

// unmount takes the store's file system away as a reboot does.
func unmount(host state.Host) { _ = unix.Unmount(store.LayoutOf(host).Dir(), 0) }

// initialised is host after an Init.
func initialised(t *testing.T, host state.Host) state.Host {
	t.Helper()
	_, err := store.Init(t.Context(), host, store.Options{})
	require.NoError(t, err)
	return host
}

// lines is a report as one string, below the root.
func lines(host state.Host, report store.Report) string {
	var b strings.Builder
	for _, step := range report {
		b.WriteString(strings.ReplaceAll(step.String(), host.Root+"/", "/") + "\n")
	}
	return b.String()
}

// tree is everything below the root with its mode, links with where they lead and large files with their size in MiB.
func tree(t *testing.T, host state.Host) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(host.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == host.Root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", info.Mode(), strings.TrimPrefix(path, host.Root))
		if info.Mode().Type() == fs.ModeSymlink {
			target, _ := os.Readlink(path)
			b.WriteString(" -> " + target)
		}
		if info.Mode().IsRegular() && info.Size() >= 1<<20 {
			fmt.Fprintf(&b, " %d MiB", info.Size()>>20)
		}
		b.WriteString("\n")
		return nil
	}))
	return b.String()
}
