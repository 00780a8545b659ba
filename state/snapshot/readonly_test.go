package snapshot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestReadOnly(t *testing.T) {
	dir := snapshottest.Mount(t, 128)
	sub := filepath.Join(dir, "sub")
	require.NoError(t, snapshot.Btrfs{}.Create(sub))

	is, err := snapshot.IsReadOnly(sub)
	require.NoError(t, err)
	assert.False(t, is)
	require.NoError(t, snapshot.SetReadOnly(sub))
	is, err = snapshot.IsReadOnly(sub)
	require.NoError(t, err)
	assert.True(t, is)
	assert.Error(t, os.WriteFile(filepath.Join(sub, "file"), nil, 0o600))

	require.NoError(t, snapshot.Btrfs{}.Snapshot(sub, filepath.Join(dir, "copy"), true))
	is, err = snapshot.IsReadOnly(filepath.Join(dir, "copy"))
	require.NoError(t, err)
	assert.True(t, is, "a snapshot that is to be read-only is")

	_, err = snapshot.IsReadOnly(t.TempDir())
	assert.ErrorContains(t, err, "cannot read the flags of ")
}

func TestQuotas(t *testing.T) {
	snapshottest.Need(t, "btrfs")
	dir := snapshottest.Mount(t, 128)
	enabled, err := snapshot.Quotas(dir)
	require.NoError(t, err)
	assert.False(t, enabled)
	require.NoError(t, exec.Command("btrfs", "quota", "enable", dir).Run())
	enabled, err = snapshot.Quotas(dir)
	require.NoError(t, err)
	assert.True(t, enabled)
	require.NoError(t, exec.Command("btrfs", "quota", "disable", dir).Run())
	enabled, err = snapshot.Quotas(dir)
	require.NoError(t, err)
	assert.False(t, enabled)
}
