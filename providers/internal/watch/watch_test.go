package watch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func addr(i int) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.StageNode, Name: "n"}, Kind: "file", Key: fmt.Sprint(i)}
}

// watches counts what this process has the kernel watch (proc(5), /proc/PID/fdinfo).
func watches(t *testing.T) (n int) {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	require.NoError(t, err)
	for _, info := range infos {
		data, _ := os.ReadFile(info) // one may be closed by now
		n += strings.Count(string(data), "inotify wd:")
	}
	return n
}

func TestPaths(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "etc/many")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	const links = 10_000
	var paths []watch.Path
	for i := range links {
		require.NoError(t, os.Symlink("x", filepath.Join(dir, fmt.Sprint(i))))
		paths = append(paths, watch.Path{Addr: addr(i), Path: fmt.Sprintf("/etc/many/%d", i)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	named := map[state.Addr]int{}
	blocked := make(chan struct{}) // who is told takes until then
	tell := func(addrs []state.Addr, err error) {
		assert.NoError(t, err)
		mu.Lock()
		for _, a := range addrs {
			named[a]++
		}
		mu.Unlock()
		<-blocked
	}
	heard := func(a state.Addr) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return named[a] > 0
		}
	}
	before := watches(t)
	require.NoError(t, watch.Paths(ctx, root, paths, tell))

	t.Run("ten thousand links in one directory cost one watch, and one for each directory above", func(t *testing.T) {
		assert.Equal(t, 3, watches(t)-before)
	})

	t.Run("when the kernel drops events, everything is named", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(dir, "0")))
		require.Eventually(t, heard(addr(0)), 10*time.Second, time.Millisecond)
		limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
		require.NoError(t, err)
		var queued int
		_, err = fmt.Sscan(string(limit), &queued)
		require.NoError(t, err)
		if queued > 100_000 {
			snapshottest.Lack(t, "this machine queues %d events, and it would take long to have it drop some", queued)
		}
		// Neither the kernel's queue holds them all, nor what is taken out of it ahead.
		for i := range queued + 10_000 {
			name := filepath.Join(dir, fmt.Sprint("other", i%2))
			require.NoError(t, os.Symlink("x", name))
			require.NoError(t, os.Remove(name))
		}
		require.NoError(t, os.Remove(filepath.Join(dir, "77")), "of which nothing is heard")
		close(blocked)
		require.Eventually(t, heard(addr(77)), 20*time.Second, 10*time.Millisecond)
		require.Eventually(t, heard(addr(links-1)), 20*time.Second, 10*time.Millisecond)
	})

	t.Run("nothing is watched any more when it ends", func(t *testing.T) {
		cancel()
		require.Eventually(t, func() bool { return watches(t) == before }, 10*time.Second, 10*time.Millisecond)
	})
}

func TestWatchesAreLetGoOf(t *testing.T) {
	root := t.TempDir()
	at := func(p string) string { return filepath.Join(root, p) }
	require.NoError(t, os.MkdirAll(at("etc/a/b"), 0o755))
	before := watches(t)
	told := make(chan []state.Addr, 1000)
	require.NoError(t, watch.Paths(t.Context(), root, []watch.Path{{Addr: addr(0), Path: "/etc/a/b/c"}, {Addr: addr(1), Path: "/etc/a/b/d"}, {Addr: addr(2), Path: "/etc/bell"}},
		func(named []state.Addr, err error) {
			assert.NoError(t, err)
			told <- named
		}))
	require.Equal(t, 4, watches(t)-before)
	// Each time another directory comes in the place of one that stays elsewhere.
	for i := range 20 {
		require.NoError(t, os.Rename(at("etc/a"), at(fmt.Sprint("was", i))))
		require.NoError(t, os.MkdirAll(at("etc/a/b"), 0o755))
		if i%2 == 0 {
			<-told
		}
	}
	require.Eventually(t, func() bool { return watches(t)-before == 4 }, 10*time.Second, 10*time.Millisecond)
}
