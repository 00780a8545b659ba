package snapshottest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// Run checks that subvols keeps the contract of state.Subvolumes, on btrfs.
func Run(t *testing.T, subvols state.Subvolumes) {
	dir := Mount(t, 512)
	in := func(t *testing.T) func(names ...string) string {
		t.Helper()
		own, err := os.MkdirTemp(dir, "t")
		require.NoError(t, err)
		return func(names ...string) string { return filepath.Join(append([]string{own}, names...)...) }
	}

	t.Run("Create makes an empty subvolume", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a b")))
		assert.Equal(t, "", tree(t, path("a b")))
		assert.True(t, isSubvolume(t, path("a b")))
	})

	t.Run("Create says when something is there", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "file"), "content")
		err := subvols.Create(path("a"))
		assert.ErrorIs(t, err, fs.ErrExist)
		assert.ErrorContains(t, err, "cannot create subvolume "+path("a")+": ")
		assert.Equal(t, "file=content\n", tree(t, path("a")))
	})

	t.Run("Create and Snapshot say when the parent is missing or no path is that long", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		long := strings.Repeat("n", 256)
		assert.ErrorIs(t, subvols.Create(path("none", "a")), fs.ErrNotExist)
		assert.ErrorIs(t, subvols.Snapshot(path("a"), path("none", "b"), true), fs.ErrNotExist)
		assert.ErrorContains(t, subvols.Create(path(long)), long)
		assert.ErrorContains(t, subvols.Snapshot(path("a"), path(long), true), long)
	})

	t.Run("Copy leaves out what Snapshot refuses, and the copy can be written to", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "file"), "content")
		require.NoError(t, subvols.Create(path("a", "inner")))
		write(t, path("a", "inner", "file"), "inner")
		assert.Error(t, subvols.Snapshot(path("a"), path("b"), true))
		require.NoError(t, subvols.Copy(path("a"), path("b")))
		assert.True(t, isSubvolume(t, path("b")))
		write(t, path("b", "file"), "changed")
		assert.Equal(t, "file=changed\ninner/\n", tree(t, path("b")))
		assert.ErrorIs(t, subvols.Copy(path("a"), path("b")), fs.ErrExist)
		require.NoError(t, os.Mkdir(path("c"), 0o755))
		assert.ErrorContains(t, subvols.Copy(path("c"), path("d")), "it is not a btrfs subvolume")
	})

	t.Run("a relative path and one with a trailing slash are as good", func(t *testing.T) {
		path := in(t)
		t.Chdir(path())
		require.NoError(t, subvols.Create("a"))
		write(t, path("a", "file"), "content")
		require.NoError(t, subvols.Snapshot("a/", "b/", false))
		require.NoError(t, subvols.Exchange("a", "b"))
		require.NoError(t, subvols.Delete("a/"))
		assert.Equal(t, "b/\nb/file=content\n", tree(t, path()))
	})

	t.Run("a read-only snapshot keeps the content, whatever comes to its source", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "bin", "program"), "one")
		write(t, path("a", "old"), "old")
		require.NoError(t, os.Symlink("program", path("a", "bin", "link")))
		before := tree(t, path("a"))
		require.NoError(t, subvols.Snapshot(path("a"), path("b"), true))
		write(t, path("a", "bin", "program"), "two")
		require.NoError(t, os.Remove(path("a", "old")))

		assert.Equal(t, before, tree(t, path("b")))
		assert.True(t, isSubvolume(t, path("b")))
		assert.ErrorIs(t, os.WriteFile(path("b", "new"), nil, 0o644), unix.EROFS)
		require.NoError(t, subvols.Delete(path("a")))
		assert.Equal(t, before, tree(t, path("b")))
		require.NoError(t, subvols.Delete(path("b")))
	})

	t.Run("a writable snapshot leaves its source alone", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "file"), "one")
		require.NoError(t, subvols.Snapshot(path("a"), path("b"), true))
		require.NoError(t, subvols.Snapshot(path("b"), path("c"), false))
		write(t, path("c", "file"), "two")
		assert.Equal(t, "file=one\n", tree(t, path("b")))
		assert.Equal(t, "file=two\n", tree(t, path("c")))
	})

	t.Run("Snapshot says when something is there and makes nothing in it", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		require.NoError(t, subvols.Create(path("b")))
		assert.ErrorIs(t, subvols.Snapshot(path("a"), path("b"), true), fs.ErrExist)
		assert.Equal(t, "", tree(t, path("b")))
	})

	t.Run("Snapshot refuses what is not a subvolume", func(t *testing.T) {
		path := in(t)
		write(t, path("plain", "file"), "content")
		assert.ErrorContains(t, subvols.Snapshot(path("plain"), path("b"), true), path("plain")+": it is not a btrfs subvolume")
		assert.ErrorIs(t, subvols.Snapshot(path("none"), path("b"), true), fs.ErrNotExist)
		assert.NoFileExists(t, path("b"))
	})

	t.Run("what holds other subvolumes is neither copied nor deleted, and they are named", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "deep", "down", "file"), "content")
		require.NoError(t, subvols.Create(path("a", "deep", "down", "inner")))
		require.NoError(t, subvols.Create(path("a", "other")))
		held := "it holds other subvolumes, which a snapshot leaves out: " + path("a", "deep", "down", "inner") + ", " + path("a", "other") + ";"
		assert.ErrorContains(t, subvols.Snapshot(path("a"), path("b"), true), held)
		assert.NoDirExists(t, path("b"))
		assert.ErrorContains(t, subvols.Delete(path("a")), held)
		require.NoError(t, subvols.Delete(path("a", "deep", "down", "inner")))
		require.NoError(t, subvols.Delete(path("a", "other")))
		require.NoError(t, subvols.Snapshot(path("a"), path("b"), true))
		require.NoError(t, subvols.Delete(path("a")))
	})

	t.Run("Delete removes files and all, and is no error where there is nothing", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		write(t, path("a", "deep", "file"), "content")
		require.NoError(t, subvols.Delete(path("a")))
		assert.NoDirExists(t, path("a"))
		require.NoError(t, subvols.Delete(path("a")))
		require.NoError(t, subvols.Delete(path("none", "a")))
	})

	t.Run("Delete refuses a plain directory", func(t *testing.T) {
		path := in(t)
		write(t, path("plain", "file"), "content")
		assert.ErrorContains(t, subvols.Delete(path("plain")), path("plain")+": it is not a btrfs subvolume")
		assert.Equal(t, "plain/\nplain/file=content\n", tree(t, path()))
	})

	t.Run("Exchange says when one is missing, and leaves the other", func(t *testing.T) {
		path := in(t)
		require.NoError(t, subvols.Create(path("a")))
		err := subvols.Exchange(path("a"), path("b"))
		assert.ErrorIs(t, err, fs.ErrNotExist)
		assert.ErrorContains(t, err, "cannot exchange "+path("a")+" with "+path("b")+": ")
		assert.DirExists(t, path("a"))
	})

	t.Run("Exchange never shows a reader a missing path", func(t *testing.T) { exchange(t, subvols, in(t)) })
	t.Run("a read-only file system is said so", func(t *testing.T) { readOnly(t, subvols) })
	t.Run("a full file system is said so, and nothing half done is left", func(t *testing.T) { full(t, subvols) })
}
