package providertest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// World prints directories with everything in them: types, modes, owners, links and contents.
func World(t testing.TB, dirs ...string) string {
	return list(t, dirs, func(path string, st *unix.Stat_t) string {
		line := fmt.Sprintf("%06o %d:%d", st.Mode, st.Uid, st.Gid)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			line += fmt.Sprintf(" %q", content)
		case unix.S_IFLNK:
			link, err := os.Readlink(path)
			require.NoError(t, err)
			line += " -> " + link
		}
		return line
	})
}

// Stamps prints directories with the times at which each thing in them changed last.
func Stamps(t testing.TB, dirs ...string) string {
	return list(t, dirs, func(_ string, st *unix.Stat_t) string {
		return fmt.Sprintf("%d %d %d", st.Ino, st.Mtim.Nano(), st.Ctim.Nano())
	})
}

func list(t testing.TB, dirs []string, describe func(path string, st *unix.Stat_t) string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return err
			}
			below, err := filepath.Rel(dir, path)
			fmt.Fprintf(&b, "%s %s\n", below, describe(path, &st))
			return err
		})
		require.NoError(t, err)
	}
	return b.String()
}
