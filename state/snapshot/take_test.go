package snapshot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// staging makes a node's subvolume with a file, and a directory for its snapshots.
func staging(t *testing.T) (snapshots, node string) {
	dir := snapshottest.Mount(t, 512)
	snapshots, node = filepath.Join(dir, "snapshots"), filepath.Join(dir, "core")
	require.NoError(t, os.Mkdir(snapshots, 0o700))
	require.NoError(t, snapshot.Btrfs{}.Create(node))
	require.NoError(t, os.WriteFile(filepath.Join(node, "program"), []byte("one"), 0o755))
	return snapshots, node
}

func names(t *testing.T, dir string) string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestName(t *testing.T) {
	dir := t.TempDir()
	at := created.In(time.FixedZone("", 3600))

	t.Run("is of phase, node and time in UTC", func(t *testing.T) {
		assert.Equal(t, "pre-rollback-core-20261117-140522", snapshot.Name(snapshot.PreRollback, "core", at))
	})
	t.Run("is numbered when it is taken", func(t *testing.T) {
		for _, want := range []string{"pre-core-20261117-140522", "pre-core-20261117-140522-2", "pre-core-20261117-140522-3"} {
			name, err := snapshot.FreeName(dir, snapshot.Pre, "core", at)
			require.NoError(t, err)
			assert.Equal(t, want, name)
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		}
	})
}

func TestTake(t *testing.T) {
	r := record(1, 1, snapshot.Pre, "core")
	r.Objects = []snapshot.Object{{Addr: file("core", "program"), Live: json.RawMessage(`{"mode":"0755"}`)}, {Addr: file("core", "none")}}

	t.Run("makes a snapshot that is complete in itself", func(t *testing.T) {
		snapshots, node := staging(t)
		info, err := snapshot.Take(snapshot.Btrfs{}, snapshots, node, r)
		require.NoError(t, err)
		assert.Equal(t, snapshot.Info{Head: r.Head, Name: "pre-core-20261117-140522", Path: snapshots + "/pre-core-20261117-140522"}, info)

		require.NoError(t, os.WriteFile(filepath.Join(node, "program"), []byte("two"), 0o755))
		require.NoError(t, os.Remove(snapshot.RecordPath(node)))
		content, err := os.ReadFile(filepath.Join(info.Path, "program"))
		require.NoError(t, err)
		assert.Equal(t, "one", string(content))
		back, err := snapshot.ReadRecord(info.Record())
		require.NoError(t, err)
		assert.Equal(t, r, back)
		assert.Error(t, os.WriteFile(filepath.Join(info.Path, "new"), nil, 0o644), "it is read-only")
	})

	t.Run("keeps the record to root, and nothing else beside it", func(t *testing.T) {
		snapshots, node := staging(t)
		require.NoError(t, os.Mkdir(filepath.Join(node, ".opdbus"), 0o777))
		require.NoError(t, os.WriteFile(snapshot.RecordPath(node)+".new", []byte("left over"), 0o666))
		info, err := snapshot.Take(snapshot.Btrfs{}, snapshots, node, r)
		require.NoError(t, err)
		var modes []string
		for _, path := range []string{filepath.Join(info.Path, ".opdbus"), info.Record()} {
			stat, err := os.Stat(path)
			require.NoError(t, err)
			modes = append(modes, stat.Mode().String())
		}
		assert.Equal(t, "drwx------ -rw------- snapshot.json", strings.Join(append(modes, names(t, filepath.Join(info.Path, ".opdbus"))), " "))
	})

	t.Run("takes two in one second", func(t *testing.T) {
		snapshots, node := staging(t)
		for range 2 {
			_, err := snapshot.Take(snapshot.Btrfs{}, snapshots, node, r)
			require.NoError(t, err)
		}
		assert.Equal(t, "pre-core-20261117-140522 pre-core-20261117-140522-2", names(t, snapshots))
	})

	t.Run("does not follow a link out of the subvolume", func(t *testing.T) {
		snapshots, node := staging(t)
		elsewhere := t.TempDir()
		require.NoError(t, os.Symlink(elsewhere, filepath.Join(node, ".opdbus")))
		_, err := snapshot.Take(snapshot.Btrfs{}, snapshots, node, r)
		assert.ErrorContains(t, err, filepath.Join(node, ".opdbus")+" is not a directory; move it away")
		assert.Equal(t, "", names(t, elsewhere)+names(t, snapshots))
	})

	t.Run("a failure leaves no half snapshot", func(t *testing.T) {
		snapshots, node := staging(t)
		_, err := snapshot.Take(halfway{}, snapshots, node, r)
		assert.EqualError(t, err, "cannot take the pre snapshot of stage.core: power went")
		assert.Equal(t, "", names(t, snapshots))
	})

	t.Run("names the node's subvolume when it is full or read-only", func(t *testing.T) {
		dir := snapshottest.Mount(t, 32)
		node := filepath.Join(dir, "core")
		require.NoError(t, snapshot.Btrfs{}.Create(node))
		snapshottest.Fill(t, dir)
		_, err := snapshot.Take(snapshot.Btrfs{}, dir, node, manyObjects(10_000))
		assert.ErrorContains(t, err, "cannot write the record of a snapshot of "+node+": ")
		assert.ErrorContains(t, err, "; free some space on its file system")
		snapshottest.Remount(t, dir, "ro")
		_, err = snapshot.Take(snapshot.Btrfs{}, dir, node, r)
		assert.ErrorContains(t, err, "cannot write the record of a snapshot of "+node+": ")
		assert.ErrorContains(t, err, "; remount its file system writable")
		snapshottest.Remount(t, dir, "rw")
	})
}

// halfway makes a snapshot and then says that it failed.
type halfway struct{ snapshot.Btrfs }

func (h halfway) Snapshot(src, dst string, readonly bool) error {
	return errors.Join(h.Btrfs.Snapshot(src, dst, readonly), errors.New("power went"))
}

func TestList(t *testing.T) {
	t.Run("goes by run, step and phase, never by time, and keeps what cannot be read", func(t *testing.T) {
		snapshots, node := staging(t)
		for i, r := range []snapshot.Record{
			record(10, 1, snapshot.Pre, "core"), record(2, 2, snapshot.Pre, "b"), record(2, 1, snapshot.Post, "core"),
			record(2, 1, snapshot.Pre, "core"), record(2, 1, snapshot.PreRollback, "core"), record(2, 2, snapshot.Pre, "a"),
		} {
			r.Created = created.Add(-time.Duration(i) * time.Hour)
			_, err := snapshot.Take(snapshot.Btrfs{}, snapshots, node, r)
			require.NoError(t, err)
		}
		require.NoError(t, os.MkdirAll(filepath.Join(snapshots, "0-bad", ".opdbus"), 0o755))
		require.NoError(t, os.WriteFile(snapshot.RecordPath(filepath.Join(snapshots, "0-bad")), []byte(`{"version":9,"run":1,"objects":[]}`), 0o644))
		require.NoError(t, os.Mkdir(filepath.Join(snapshots, "0-none"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(snapshots, "a file"), nil, 0o644))

		infos, err := snapshot.List(snapshots)
		require.NoError(t, err)
		var lines []string
		for _, i := range infos {
			lines = append(lines, strings.ReplaceAll(fmt.Sprintf("%d %d %s %s: %s%s", i.Run, i.Step, i.Phase, i.Node, i.Name, i.Problem), snapshots, ""))
		}
		assert.Equal(t, `2 1 pre-rollback stage.core: pre-rollback-core-20261117-100522
2 1 pre stage.core: pre-core-20261117-110522
2 1 post stage.core: post-core-20261117-120522
2 2 pre stage.a: pre-a-20261117-090522
2 2 pre stage.b: pre-b-20261117-130522
10 1 pre stage.core: pre-core-20261117-140522
0 0  .: 0-badcannot read the record /0-bad/.opdbus/snapshot.json: it is of version 9, and only 1 is known here
0 0  .: 0-nonecannot read the record of the snapshot: open /0-none/.opdbus/snapshot.json: no such file or directory`,
			strings.Join(lines, "\n"))
	})

	t.Run("reads no further than the heads", func(t *testing.T) {
		dir := t.TempDir()
		data, err := snapshot.Encode(manyObjects(10))
		require.NoError(t, err)
		cut := strings.Index(string(data), `"objects"`) + len(`"objects":[`)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "s", ".opdbus"), 0o755))
		require.NoError(t, os.WriteFile(snapshot.RecordPath(filepath.Join(dir, "s")), append(data[:cut], "damaged"...), 0o644))
		infos, err := snapshot.List(dir)
		require.NoError(t, err)
		require.Len(t, infos, 1)
		assert.Equal(t, manyObjects(0).Head, infos[0].Head)
	})

	t.Run("says when there is no such directory", func(t *testing.T) {
		_, err := snapshot.List(filepath.Join(t.TempDir(), "none"))
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestSize(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "a"), make([]byte, 1000), 0o644))
	require.NoError(t, os.Link(filepath.Join(dir, "sub", "a"), filepath.Join(dir, "b")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c"), make([]byte, 24), 0o644))
	require.NoError(t, os.Symlink("b", filepath.Join(dir, "link")))

	t.Run("counts each file once", func(t *testing.T) {
		size, err := snapshot.Size(dir)
		require.NoError(t, err)
		assert.EqualValues(t, 1024, size)
	})
	t.Run("says what it cannot look at", func(t *testing.T) {
		_, err := snapshot.Size(filepath.Join(dir, "none"))
		assert.ErrorContains(t, err, "cannot tell the size of "+filepath.Join(dir, "none"))
	})
}
