package hostfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestChanged(t *testing.T) {
	root := world(t, "d 0 755 /etc", "f 0 /etc/passwd", "l 0 /etc/link -> nowhere", "d 0 755 /opt")
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	changed := func(target string) time.Time {
		at, err := FS{Root: root}.Changed(target)
		require.NoError(t, err)
		return at.UTC()
	}
	ctime := func(path string) time.Time {
		var st unix.Stat_t
		require.NoError(t, unix.Lstat(filepath.Join(root, path), &st))
		return time.Unix(st.Ctim.Unix()).UTC()
	}

	t.Run("is the change time, which setting a file's times does not set back", func(t *testing.T) {
		require.NoError(t, os.Chtimes(root+"/etc/passwd", old, old))
		assert.Equal(t, ctime("/etc/passwd"), changed("/etc/passwd"))
		assert.WithinDuration(t, time.Now(), changed("/etc/passwd"), time.Minute)
	})
	t.Run("is a link's own", func(t *testing.T) {
		assert.Equal(t, ctime("/etc/link"), changed("/etc/link"))
	})
	t.Run("is when the directory changed of what is missing", func(t *testing.T) {
		require.NoError(t, os.Chtimes(root+"/opt", old, old))
		assert.Equal(t, old, changed("/opt/missing"))
	})
	t.Run("is not known where the directory is missing, is none, or must not be gone to", func(t *testing.T) {
		assert.Zero(t, changed("/opt/missing/too"))
		assert.Zero(t, changed("/etc/passwd/none"))
		at, err := FS{Root: root, Closed: []string{"/etc"}}.Changed("/etc/passwd")
		require.NoError(t, err)
		assert.Zero(t, at)
		at, err = FS{Root: filepath.Join(root, "missing")}.Changed("/x")
		require.NoError(t, err)
		assert.Zero(t, at)
	})
}
