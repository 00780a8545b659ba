package tree

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func scanned(t testing.TB, dir string, o Options) []Entry {
	t.Helper()
	entries, err := Scan(t.Context(), dir, o)
	require.NoError(t, err)
	return entries
}

func TestScan(t *testing.T) {
	t.Run("lists a directory before what is in it and that before its neighbours", func(t *testing.T) {
		dir := t.TempDir()
		for _, p := range []string{"a/x", "a-b", "a/b/c", "z"} {
			write(t, filepath.Join(dir, p), p)
		}
		require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "l")))
		var paths []string
		for _, e := range scanned(t, dir, Options{}) {
			paths = append(paths, e.Path)
		}
		assert.Equal(t, "a a/b a/b/c a/x a-b l z", strings.Join(paths, " "))
		assert.True(t, slices.IsSortedFunc(paths, Compare))
	})
	t.Run("says what is there", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir+"/f", "content")
		require.NoError(t, os.Chmod(dir+"/f", 0o4755|os.ModeSetuid))
		e := scanned(t, dir, Options{})[0]
		assert.Equal(t, Digest([]byte("content")), e.Digest)
		assert.Equal(t, uint32(0o4755), e.Stat.Perm())
		assert.Equal(t, "regular file", e.Stat.Kind())
		assert.Equal(t, dir+"/f", e.Full)
	})
}

// settle waits until a change that was just made is old enough for an index.
func settle() { time.Sleep(time.Duration(Grain()) + time.Millisecond) }

func TestIndex(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "index")
	save := func(t *testing.T) {
		t.Helper()
		require.NoError(t, Save(file, scanned(t, dir, Options{})))
	}
	// unread lists the files that a scan with the index need not read.
	unread := func(t *testing.T) string {
		t.Helper()
		var known []string
		for _, e := range scanned(t, dir, Options{Index: Load(file), Read: func(string) bool { return false }}) {
			if e.Digest != "" {
				known = append(known, e.Path)
			}
		}
		return strings.Join(known, " ")
	}
	write(t, dir+"/a", "one")
	write(t, dir+"/b", "one")

	t.Run("a file that changed just before it was read is not trusted", func(t *testing.T) {
		write(t, dir+"/a", "new")
		entries := scanned(t, dir, Options{})
		for i := range entries {
			entries[i].Known = entries[i].Stat.Ctime
		}
		require.NoError(t, Save(file, entries))
		assert.Empty(t, unread(t))
	})
	t.Run("spares reading what has not changed", func(t *testing.T) {
		settle()
		save(t)
		assert.Equal(t, "a b", unread(t))
	})
	t.Run("a change of the same size in the same second is seen", func(t *testing.T) {
		settle()
		save(t)
		st, err := os.Stat(dir + "/a")
		require.NoError(t, err)
		write(t, dir+"/a", "two")
		require.NoError(t, os.Chtimes(dir+"/a", st.ModTime(), st.ModTime()))
		assert.Equal(t, "b", unread(t))
		entries := scanned(t, dir, Options{Index: Load(file)})
		assert.Equal(t, Digest([]byte("two")), entries[0].Digest)
	})
	t.Run("another file in its place is seen", func(t *testing.T) {
		settle()
		save(t)
		require.NoError(t, os.Rename(dir+"/b", dir+"/c"))
		assert.Equal(t, "a", unread(t), "renaming changes the times of the inode and the path")
	})
	t.Run("a damaged one is none", func(t *testing.T) {
		settle()
		save(t)
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		for i := range whole {
			damaged := slices.Clone(whole)
			damaged[i] ^= 0x20
			require.NoError(t, os.WriteFile(file, damaged, 0o600))
			require.Nil(t, Load(file), "byte %d", i)
			require.NoError(t, os.WriteFile(file, whole[:i], 0o600))
			require.Nil(t, Load(file), "cut at %d", i)
		}
		require.NoError(t, Drop(file))
		require.Nil(t, Load(file))
		require.NoError(t, Drop(file))
	})
}

func TestCompare(t *testing.T) {
	t.Run("orders as the names in each directory", rapid.MakeCheck(func(t *rapid.T) {
		path := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a-", "a.b", "\x01", "é"}), 1, 4)
		x, y := path.Draw(t, "x"), path.Draw(t, "y")
		require.Equal(t, slices.Compare(x, y), Compare(strings.Join(x, "/"), strings.Join(y, "/")))
	}))
}
