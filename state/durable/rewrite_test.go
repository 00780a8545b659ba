package durable_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/durable"
)

func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = 1234, 5678
	}
	require.NoError(t, os.Chown(path, uid, gid))
	require.NoError(t, os.Chmod(path, 0o640|os.ModeSetgid))

	t.Run("keeps mode and owner", func(t *testing.T) {
		require.NoError(t, durable.Rewrite(path, []byte("new")))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "new", string(data))
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, 0o640|os.ModeSetgid, info.Mode())
		assert.Equal(t, uid, int(info.Sys().(*syscall.Stat_t).Uid))
		assert.Equal(t, gid, int(info.Sys().(*syscall.Stat_t).Gid))
	})
	t.Run("refuses what is no file, and what is not there", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(path, link))
		require.ErrorContains(t, durable.Rewrite(link, nil), "it is not a regular file")
		require.ErrorIs(t, durable.Rewrite(link+"s", nil), os.ErrNotExist)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "new", string(data))
	})
}
