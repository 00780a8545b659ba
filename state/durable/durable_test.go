package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/durable"
)

func TestWriteFile(t *testing.T) {
	t.Run("replaces content and mode, whatever they and the umask were", func(t *testing.T) {
		defer unix.Umask(unix.Umask(0o077))
		path := filepath.Join(t.TempDir(), "file")
		for _, perm := range []fs.FileMode{0o666, 0o600, 0o644} {
			require.NoError(t, durable.WriteFile(path, []byte(perm.String()), perm))
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			info, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, perm.String()+perm.String(), string(content)+info.Mode().String())
		}
	})

	t.Run("leaves a file that is open as it was", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, durable.WriteFile(path, []byte("one"), 0o644))
		before, err := os.Open(path)
		require.NoError(t, err)
		defer before.Close()
		require.NoError(t, durable.WriteFile(path, []byte("two"), 0o644))
		content := make([]byte, 8)
		n, err := before.Read(content)
		require.NoError(t, err)
		assert.Equal(t, "one", string(content[:n]))
	})

	t.Run("replaces a link, not what it leads to", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("one"), 0o644))
		require.NoError(t, os.Symlink("other", filepath.Join(dir, "file")))
		require.NoError(t, durable.WriteFile(filepath.Join(dir, "file"), []byte("two"), 0o644))
		content, err := os.ReadFile(filepath.Join(dir, "other"))
		require.NoError(t, err)
		assert.Equal(t, "one", string(content))
	})

	t.Run("a failure names the path and leaves nothing beside it", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "busy")
		require.NoError(t, os.Mkdir(path, 0o755))
		assert.ErrorContains(t, durable.WriteFile(path, nil, 0o644), "cannot write "+path+": ")
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, entries, 1)
		assert.ErrorIs(t, durable.WriteFile(filepath.Join(dir, "none", "file"), nil, 0o644), fs.ErrNotExist)
	})
}

func TestClear(t *testing.T) {
	t.Run("takes away what a cut has left, and only that", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		require.NoError(t, durable.Clear(path))
		require.NoError(t, durable.WriteFile(path, []byte("whole"), 0o600))
		left := errors.New("as if cut off")
		assert.ErrorIs(t, durable.Write(path, 0o600, func(w io.Writer) error {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 2)
			require.True(t, durable.Left(path))
			require.NoError(t, durable.Clear(path))
			require.False(t, durable.Left(path))
			return left
		}), left)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		assert.Equal(t, "file", entries[0].Name())
	})
}

func TestSyncDir(t *testing.T) {
	t.Run("syncs, and names what is missing", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, durable.SyncDir(dir))
		err := durable.SyncDir(filepath.Join(dir, "none"))
		assert.ErrorIs(t, err, fs.ErrNotExist)
		assert.ErrorContains(t, err, "cannot sync directory "+filepath.Join(dir, "none")+": ")
	})
}
