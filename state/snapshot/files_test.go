package snapshot_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/state/snapshot"
)

func TestFiles(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	for _, dir := range []string{before, after} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, ".opdbus"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".opdbus", "snapshot.json"), []byte(dir), 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "etc"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "etc", "same"), []byte("same"), 0o644))
		require.NoError(t, os.Symlink("to "+filepath.Base(dir), filepath.Join(dir, "link")))
	}
	require.NoError(t, os.WriteFile(filepath.Join(before, "etc", "gone"), []byte("gone"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(before, "etc", "edited"), []byte("aaaa"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(after, "etc", "edited"), []byte("bbbb"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(after, "etc-new"), nil, 0o755))

	was, err := snapshot.Files(before)
	require.NoError(t, err)
	is, err := snapshot.Files(after)
	require.NoError(t, err)

	t.Run("lists everything but the record", func(t *testing.T) {
		var paths []string
		for _, f := range was {
			paths = append(paths, f.Type+" "+f.Mode+" "+f.Path)
		}
		assert.Equal(t, "directory 0755 etc\nfile 0644 etc/edited\nfile 0644 etc/gone\nfile 0644 etc/same\nsymlink 0777 link", strings.Join(paths, "\n"))
	})
	t.Run("compares content, not times", func(t *testing.T) {
		assert.Equal(t, "~ etc/edited\n- etc/gone\n+ etc-new\n~ link\n", differences(snapshot.Compare(was, is)))
		assert.Empty(t, snapshot.Compare(was, was))
	})
	t.Run("finds each path that differs, whatever the names", func(t *testing.T) {
		names := rapid.MapOfN(rapid.StringMatching(`[a.\-]{1,2}x(/[a.\-]{1,2}x)?`), rapid.IntRange(0, 2), 0, 8)
		rapid.Check(t, func(t *rapid.T) {
			a, b := names.Draw(t, "a"), names.Draw(t, "b")
			found := map[string]bool{}
			for _, d := range snapshot.Compare(files(a), files(b)) {
				require.False(t, found[d.Path()], "%s twice", d.Path())
				found[d.Path()] = true
			}
			for name := range maps.Keys(union(a, b)) {
				va, ina := a[name]
				vb, inb := b[name]
				assert.Equal(t, ina != inb || va != vb, found[name], name)
			}
		})
	})
}

func differences(ds []snapshot.FileDifference) string {
	var b strings.Builder
	for _, d := range ds {
		switch {
		case d.Before == nil:
			b.WriteString("+ ")
		case d.After == nil:
			b.WriteString("- ")
		default:
			b.WriteString("~ ")
		}
		b.WriteString(d.Path() + "\n")
	}
	return b.String()
}

// files makes a list of files as a walk would find them: a directory's content before what is beside it.
func files(sizes map[string]int) []snapshot.File {
	var all []snapshot.File
	for _, name := range slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	}) {
		all = append(all, snapshot.File{Path: name, Type: "file", Size: int64(sizes[name]), Digest: fmt.Sprint(sizes[name])})
	}
	return all
}

func union(a, b map[string]int) map[string]int {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
