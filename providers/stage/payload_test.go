package stage

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// payload expands the stage and keeps its payload.
func (w *world) payload(t require.TestingT, source string) map[string]Payload {
	node := &state.Node{Addr: w.node, Self: Stage{Source: source}}
	diags := w.kinds.ForNode("stage").Expand(w.t.Context(), &state.Config{Nodes: []*state.Node{node}}, node)
	require.NoError(t, diags.Err())
	wanted := map[string]Payload{}
	for _, d := range node.Objects {
		if p, ok := d.Object.(Payload); ok {
			wanted[p.Path] = p
		}
	}
	return wanted
}

// deploy makes the stage what its source is, from what it was, and says how many changes that took.
func (w *world) deploy(t require.TestingT, source string, made map[string]Payload) (map[string]Payload, int) {
	wanted := w.payload(t, source)
	var addrs []state.Addr
	var wants []state.Object
	for _, path := range sortedPaths(wanted, made) {
		addrs = append(addrs, w.addr("payload", path))
		if p, ok := wanted[path]; ok {
			wants = append(wants, p)
		} else {
			wants = append(wants, made[path])
		}
	}
	kind := w.kind("payload")
	lives, err := kind.Read(w.t.Context(), addrs, wants)
	require.NoError(t, err)
	var changes []state.Change
	for i, a := range addrs {
		var want state.Object
		if p, ok := wanted[a.Key]; ok {
			want = p
		}
		if !state.Same(lives[i], want) {
			changes = append(changes, state.Change{Addr: a, Before: lives[i], After: want})
		}
	}
	if len(changes) > 0 {
		require.NoError(t, kind.Apply(w.t.Context(), w.site, changes))
	}
	return wanted, len(changes)
}

func sortedPaths(sets ...map[string]Payload) []string {
	all := map[string]bool{}
	for _, s := range sets {
		for p := range s {
			all[p] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), tree.Compare)
}

func TestPayload(t *testing.T) {
	t.Run("is the source, byte for byte, and then nothing is to be done", func(t *testing.T) {
		w := newWorld(t)
		source := filepath.Join(w.Root, "source") // on the store's file system, so that extents are shared
		big := strings.Repeat("0123456789abcdef", 1<<15)
		providertest.Write(t, source+"/bin/big", big)
		providertest.Write(t, source+"/bin/small", "small")
		require.NoError(t, os.Symlink("small", source+"/bin/link"))
		require.NoError(t, os.Chmod(source+"/bin/big", 0o755|os.ModeSetuid))
		made, n := w.deploy(t, source, nil)
		assert.Equal(t, 4, n)
		assert.Equal(t, providertest.World(t, source), providertest.World(t, w.site.Dir))
		_, n = w.deploy(t, source, made)
		assert.Zero(t, n)
		providertest.Write(t, w.site.Dir+"/bin/theirs", "left")
		require.NoError(t, os.RemoveAll(source+"/bin"))
		_, n = w.deploy(t, source, made)
		assert.Equal(t, 4, n)
		assert.Equal(t, "theirs", strings.Join(names(t, w.site.Dir+"/bin"), " "), "what nobody declared is left")
		addrs, wants := []state.Addr{w.addr("payload", "bin")}, []state.Object{made["bin"]}
		lives, err := w.kind("payload").Read(t.Context(), addrs, wants)
		require.NoError(t, err)
		assert.Nil(t, lives[0], "and its directory is no longer the stage's")
	})
	t.Run("deletions come in any order", func(t *testing.T) {
		w := newWorld(t)
		source := t.TempDir()
		providertest.Write(t, source+"/a/b/c/f", "")
		made, _ := w.deploy(t, source, nil)
		for _, backward := range []bool{false, true} {
			var changes []state.Change
			for _, path := range sortedPaths(made) {
				changes = append(changes, state.Change{Addr: w.addr("payload", path), Before: made[path]})
			}
			if backward {
				slices.Reverse(changes)
			}
			require.NoError(t, w.kind("payload").Apply(t.Context(), w.site, changes))
			require.Empty(t, names(t, w.site.Dir))
			for i, c := range changes {
				changes[i] = c.Inverse()
			}
			require.NoError(t, w.kind("payload").Apply(t.Context(), w.site, changes))
		}
	})
	t.Run("unchanged files are not opened again", func(t *testing.T) {
		w := newWorld(t)
		source := t.TempDir()
		for i := range 50 {
			providertest.Write(t, fmt.Sprintf("%s/d%d/f", source, i%7)+fmt.Sprint(i), fmt.Sprint(i))
		}
		time.Sleep(time.Duration(2 * tree.Grain())) // as sources are, unless somebody has just changed them
		made, _ := w.deploy(t, source, nil)
		opened := watchOpens(t, source, w.site.Dir)
		_, n := w.deploy(t, source, made)
		assert.Zero(t, n)
		assert.Empty(t, opened())
	})
	t.Run("a source that changes after it was planned stops the change", func(t *testing.T) {
		w := newWorld(t)
		source := t.TempDir()
		providertest.Write(t, source+"/f", "planned")
		p := w.payload(t, source)["f"]
		providertest.Write(t, source+"/f", "changed")
		err := w.kind("payload").Apply(t.Context(), w.site, []state.Change{{Addr: w.addr("payload", "f"), After: p}})
		require.ErrorContains(t, err, "f changed since it was planned")
		assert.Empty(t, names(t, w.site.Dir), "and nothing of the change is seen")
		assert.NoDirExists(t, w.site.Beside)
	})
	t.Run("an edit in the tree is seen", func(t *testing.T) {
		w := newWorld(t)
		source := t.TempDir()
		providertest.Write(t, source+"/f", "one")
		made, _ := w.deploy(t, source, nil)
		var st unix.Stat_t
		require.NoError(t, unix.Stat(w.site.Dir+"/f", &st))
		providertest.Write(t, w.site.Dir+"/f", "two")
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, w.site.Dir+"/f", []unix.Timespec{st.Atim, st.Mtim}, 0))
		_, n := w.deploy(t, source, made)
		assert.Equal(t, 1, n)
		assert.Equal(t, providertest.World(t, source), providertest.World(t, w.site.Dir))
	})
	t.Run("any tree becomes any other", func(t *testing.T) {
		w := newWorld(t)
		round := 0
		var made map[string]Payload
		rapid.Check(t, func(rt *rapid.T) {
			round++
			source := filepath.Join(w.Root, fmt.Sprint("source", round))
			require.NoError(rt, os.Mkdir(source, 0o755))
			for i := range rapid.IntRange(0, 12).Draw(rt, "things") {
				path := source + "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a-"}), 1, 3).Draw(rt, "path"), "/")
				if os.MkdirAll(filepath.Dir(path), 0o755) != nil {
					continue // a file is in the way
				}
				switch rapid.IntRange(0, 2).Draw(rt, "type") {
				case 0:
					_ = os.WriteFile(path, []byte(rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "content")), os.FileMode(rapid.SampledFrom([]uint32{0o600, 0o644, 0o755}).Draw(rt, "mode")))
				case 1:
					_ = os.Symlink(fmt.Sprint("to", i%2), path)
				case 2:
					_ = os.Mkdir(path, 0o700)
				}
			}
			made, _ = w.deploy(rt, source, made)
			require.Equal(rt, providertest.World(t, source), providertest.World(t, w.site.Dir))
			var n int
			made, n = w.deploy(rt, source, made)
			require.Zero(rt, n)
		})
	})
}

// TestReplacement replaces all files of a stage while a reader looks.
func TestReplacement(t *testing.T) {
	w := newWorld(t)
	const files, rounds = 5, 1000
	content := func(round int) []state.Change {
		var changes []state.Change
		for i := range files {
			text := fmt.Sprintf("%d\n", round)
			p := Payload{Path: fmt.Sprintf("dir/f%d", i), Type: typeFile, Mode: "0644", Owner: "root", Group: "root", Size: int64(len(text)), Digest: digest(text), Content: &text}
			changes = append(changes, state.Change{Addr: w.addr("payload", p.Path), After: p})
		}
		return changes
	}
	kind := w.kind("payload")
	directory := Payload{Path: "dir", Type: typeDirectory, Mode: "0755", Owner: "root", Group: "root"}
	before := content(0)
	require.NoError(t, kind.Apply(t.Context(), w.site, append([]state.Change{{Addr: w.addr("payload", "dir"), After: directory}}, before...)))
	link := w.Path("/usr/local/bin/stage")
	require.NoError(t, os.Symlink(w.site.Dir+"/dir", link))

	var looks int
	var wrong error
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for wrong == nil {
			select {
			case <-stop:
				return
			default:
			}
			wrong = look(link, files)
			looks++
		}
	})
	site := w.site
	for round := 1; round <= rounds; round++ {
		// As in a run, an old tree stays until nobody can be reading in it any more.
		site.Beside = fmt.Sprint(w.site.Beside, round)
		if round > 5 {
			require.NoError(t, w.Subvolumes.Delete(fmt.Sprint(w.site.Beside, round-5)))
		}
		after := content(round)
		for i := range after {
			after[i].Before = before[i].After
		}
		require.NoError(t, kind.Apply(t.Context(), site, after))
		before = after
	}
	close(stop)
	reader.Wait()
	require.NoError(t, wrong)
	require.Greater(t, looks, rounds, "the reader looked more often than there were replacements")
}

// look opens a directory and reads its files: all are there, and all of one round.
func look(dir string, files int) error {
	if _, err := os.Stat(dir + "/f0"); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	first := ""
	for i := range files {
		text, err := root.ReadFile(fmt.Sprintf("f%d", i))
		switch {
		case err != nil:
			return err
		case i == 0:
			first = string(text)
		case first != string(text):
			return fmt.Errorf("f0 is of round %q and f%d of round %q", first, i, text)
		}
	}
	return nil
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// watchOpens tells which files in directories, and in those directly in them, are opened from now on.
func watchOpens(t *testing.T, dirs ...string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	for _, dir := range dirs {
		for _, below := range append(names(t, dir), ".") {
			_, err := unix.InotifyAddWatch(fd, filepath.Join(dir, below), unix.IN_OPEN)
			require.NoError(t, err)
		}
	}
	return func() []string {
		buf := make([]byte, 1<<16)
		n, err := unix.Read(fd, buf)
		if err == unix.EAGAIN {
			return nil
		}
		require.NoError(t, err)
		var opened []string
		for at := 0; at < n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent
			if event.Mask&unix.IN_ISDIR == 0 {
				opened = append(opened, strings.TrimRight(string(buf[at:at+int(event.Len)]), "\x00"))
			}
			at += int(event.Len)
		}
		return opened
	}
}
