package snapshottest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

func exchange(t *testing.T, subvols state.Subvolumes, path func(...string) string) {
	for _, name := range []string{"one", "two"} {
		require.NoError(t, subvols.Create(path(name)))
		write(t, path(name, "file"), name)
	}
	stop, reads := make(chan struct{}), make(chan map[string]int)
	go func() {
		seen := map[string]int{}
		defer func() { reads <- seen }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			content, err := os.ReadFile(path("one", "file"))
			if err != nil {
				seen[err.Error()]++
				continue
			}
			seen[string(content)]++
		}
	}()
	// Between two exchanges the reader gets a chance even where there is one processor.
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Microsecond) {
		require.NoError(t, subvols.Exchange(path("one"), path("two")))
	}
	close(stop)
	seen := <-reads
	assert.Positive(t, seen["one"])
	assert.Positive(t, seen["two"])
	assert.Len(t, seen, 2, "the reader saw %v", seen)
}

func readOnly(t *testing.T, subvols state.Subvolumes) {
	dir := Mount(t, 128)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	require.NoError(t, subvols.Create(a))
	require.NoError(t, subvols.Create(b))
	Remount(t, dir, "ro")
	defer Remount(t, dir, "rw")
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"create subvolume " + dir + "/c", func() error { return subvols.Create(filepath.Join(dir, "c")) }},
		{"make snapshot " + dir + "/c", func() error { return subvols.Snapshot(a, filepath.Join(dir, "c"), true) }},
		{"delete subvolume " + a, func() error { return subvols.Delete(a) }},
		{"exchange " + a + " with " + b, func() error { return subvols.Exchange(a, b) }},
	} {
		err := c.do()
		assert.ErrorIs(t, err, unix.EROFS, c.what)
		assert.ErrorContains(t, err, "cannot "+c.what+": ")
		assert.ErrorContains(t, err, "; remount its file system writable")
	}
	assert.Equal(t, "a/\nb/\n", tree(t, dir))
}

func full(t *testing.T, subvols state.Subvolumes) {
	dir := Mount(t, 32)
	source := filepath.Join(dir, "source")
	require.NoError(t, subvols.Create(source))
	write(t, filepath.Join(source, "file"), "content")
	Fill(t, dir)
	for _, c := range []struct {
		what string
		do   func(path string) error
	}{
		{"create subvolume ", subvols.Create},
		{"make snapshot ", func(path string) error { return subvols.Snapshot(source, path, true) }},
	} {
		var path string
		var err error
		for n := 0; err == nil; n++ {
			require.Less(t, n, 20_000, "it is never full")
			path = filepath.Join(dir, "n"+strconv.Itoa(n)+c.what[:1])
			err = c.do(path)
		}
		assert.ErrorIs(t, err, unix.ENOSPC)
		assert.ErrorContains(t, err, "cannot "+c.what+path+": ")
		assert.ErrorContains(t, err, "; free some space on its file system")
		assert.NoFileExists(t, path)
	}
	assert.Equal(t, "file=content\n", tree(t, source))
}
