package snapshottest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is everything below dir as one string.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch d.Type() {
		case fs.ModeDir:
			b.WriteString(name + "/\n")
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			b.WriteString(name + " -> " + target + "\n")
			return err
		default:
			content, err := os.ReadFile(path)
			b.WriteString(name + "=" + string(content) + "\n")
			return err
		}
		return nil
	}))
	return b.String()
}

func write(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func isSubvolume(t testing.TB, path string) bool {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.IsDir() && info.Sys().(*syscall.Stat_t).Ino == 256
}
