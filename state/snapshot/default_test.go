package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestDefault(t *testing.T) {
	dir := snapshottest.Mount(t, 256)
	other := snapshottest.Mount(t, 256)
	path := filepath.Join(dir, "a")
	require.NoError(t, snapshot.Btrfs{}.Create(path))
	before, err := snapshot.Default(path)
	require.NoError(t, err)
	assert.EqualValues(t, 5, before, "the top level, which is there from the beginning")
	id, err := snapshot.ID(path)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, id, uint64(256))

	require.NoError(t, snapshot.SetDefault(path))
	now, err := snapshot.Default(dir)
	require.NoError(t, err)
	assert.Equal(t, id, now)
	require.NoError(t, snapshot.SetDefaultID(dir, before))
	now, err = snapshot.Default(dir)
	require.NoError(t, err)
	assert.Equal(t, before, now)

	one, err := snapshot.FileSystem(dir)
	require.NoError(t, err)
	same, err := snapshot.FileSystem(path)
	require.NoError(t, err)
	third, err := snapshot.FileSystem(other)
	require.NoError(t, err)
	assert.Equal(t, one, same)
	assert.NotEqual(t, one, third)
	_, err = snapshot.Default("/proc")
	assert.ErrorContains(t, err, "it is not on btrfs")
}

func TestTakeOf(t *testing.T) {
	dir := snapshottest.Mount(t, 256)
	sub := snapshot.Btrfs{}
	path := filepath.Join(dir, "data")
	require.NoError(t, sub.Create(path))
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), []byte("one"), 0o600))
	require.NoError(t, sub.Create(filepath.Join(path, "inner")))
	shots := filepath.Join(dir, "snapshots")
	require.NoError(t, os.Mkdir(shots, 0o700))
	head := snapshot.Head{Run: 3, Subvolume: "/srv/data", Phase: snapshot.Pre, Created: time.Now(), Existed: true}

	info, err := snapshot.TakeOf(sub, shots, path, snapshot.Record{Head: head})
	require.NoError(t, err)
	assert.Equal(t, "subvolume /srv/data", info.Of())
	assert.NoDirExists(t, filepath.Join(path, snapshot.RecordDir), "what is snapshotted is not written to")
	readOnly, err := snapshot.IsReadOnly(info.Path)
	require.NoError(t, err)
	assert.True(t, readOnly)
	all, err := snapshot.List(shots)
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, info, all[0])

	unfinished := filepath.Join(shots, ".taking-"+info.Name)
	require.NoError(t, sub.Copy(path, unfinished))
	all, err = snapshot.List(shots)
	require.NoError(t, err)
	assert.Len(t, all, 1, "one that is being taken is not listed")
	require.NoError(t, snapshot.Sweep(sub, shots))
	assert.NoDirExists(t, unfinished)
	assert.DirExists(t, info.Path)

	_, err = snapshot.TakeOf(sub, shots, filepath.Join(path, "none"), snapshot.Record{Head: head})
	assert.ErrorContains(t, err, "cannot take the pre snapshot of subvolume /srv/data")
	head.Subvolume = ""
	_, err = snapshot.TakeOf(sub, shots, path, snapshot.Record{Head: head})
	assert.ErrorContains(t, err, "it names neither a node nor a subvolume")
	entries, err := os.ReadDir(shots)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "one that fails leaves nothing")
}
