package ledger

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHolderOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	_, held, err := HolderOf(path)
	require.NoError(t, err)
	assert.False(t, held, "there is no lock yet")

	process := hold(t, path)
	h, held, err := HolderOf(path)
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, process.Process.Pid, h.PID)
	assert.True(t, h.Alive())
	later := h
	later.Start++
	assert.False(t, later.Alive(), "another process has its number by now")
	other := h
	other.Boot = "another"
	assert.False(t, other.Alive(), "it was before the host was started anew")

	require.NoError(t, process.Process.Kill())
	_ = process.Wait()
	h, held, err = HolderOf(path)
	require.NoError(t, err)
	assert.True(t, held, "who was killed has left it behind")
	assert.False(t, h.Alive())

	lock, err := Take(context.Background(), path, "test", 0, nil)
	require.NoError(t, err)
	require.NoError(t, lock.Release())
	_, held, err = HolderOf(path)
	require.NoError(t, err)
	assert.False(t, held, "it was let go of")
}
