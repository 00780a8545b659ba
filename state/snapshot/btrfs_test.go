package snapshot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestBtrfs(t *testing.T) { snapshottest.Run(t, snapshot.Btrfs{}) }

func TestIsSubvolume(t *testing.T) {
	dir := snapshottest.Mount(t, 128)
	subvol := filepath.Join(dir, "subvol")
	require.NoError(t, snapshot.Btrfs{}.Create(subvol))
	require.NoError(t, os.Mkdir(filepath.Join(subvol, "plain"), 0o755))
	require.NoError(t, os.Symlink("subvol", filepath.Join(dir, "link")))
	for _, c := range []struct {
		what, path string
		want       bool
	}{
		{"a subvolume is one", subvol, true},
		{"the root of the file system is one", dir, true},
		{"a directory is none", filepath.Join(subvol, "plain"), false},
		{"a link to one is none", filepath.Join(dir, "link"), false},
		{"what is not on btrfs is none", "/proc", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			is, err := snapshot.IsSubvolume(c.path)
			require.NoError(t, err)
			assert.Equal(t, c.want, is)
		})
	}
	t.Run("what is missing is an error", func(t *testing.T) {
		_, err := snapshot.IsSubvolume(filepath.Join(dir, "none"))
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestNested(t *testing.T) {
	dir := snapshottest.Mount(t, 512)
	outer := filepath.Join(dir, "outer")
	require.NoError(t, snapshot.Btrfs{}.Create(outer))

	t.Run("is empty where there are none", func(t *testing.T) {
		nested, err := snapshot.Nested(outer)
		require.NoError(t, err)
		assert.Empty(t, nested)
	})

	t.Run("lists more than fit into one answer of the kernel", func(t *testing.T) {
		var want []string
		for n := range 300 {
			name := filepath.Join(outer, fmt.Sprintf("n%03d", n))
			require.NoError(t, snapshot.Btrfs{}.Create(name))
			want = append(want, name)
		}
		nested, err := snapshot.Nested(outer)
		require.NoError(t, err)
		assert.Equal(t, want, nested)
	})

	t.Run("is an error off btrfs", func(t *testing.T) {
		_, err := snapshot.Nested("/proc")
		assert.ErrorContains(t, err, "cannot list the subvolumes in /proc: ")
	})
}

func TestSync(t *testing.T) {
	t.Run("syncs, and names a path that is missing", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, snapshot.Sync(dir))
		assert.ErrorContains(t, snapshot.Sync(filepath.Join(dir, "none")), filepath.Join(dir, "none"))
	})
}
