package faulttest_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// writeSynced writes a file and has it on the disk.
func writeSynced(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString(content)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

// files are the files of a directory and what is in them.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name()+"/("+files(t, filepath.Join(dir, e.Name()))+")")
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all = append(all, e.Name()+"="+string(content))
	}
	return strings.Join(all, " ")
}

// at is what is on the disk after n entries.
func at(t *testing.T, d *faulttest.Disk, n int) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	d.Replay(t, n, image)
	dir := d.MountImage(t, image)
	defer snapshottest.Unmount(t, dir)
	return files(t, dir)
}

func TestDisk(t *testing.T) {
	t.Run("what was synced is there after its flush, and what came later is not", func(t *testing.T) {
		d := faulttest.NewDisk(t, 64)
		dir := d.Mount()
		d.Mark("mounted")
		writeSynced(t, filepath.Join(dir, "a"), "one")
		d.Mark("a")
		writeSynced(t, filepath.Join(dir, "b"), "two")
		d.Mark("b")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "never-synced"), []byte("three"), 0o600))
		d.Mark("end")
		d.Close()

		assert.Equal(t, "", at(t, d, 0))
		assert.Equal(t, "", at(t, d, d.Marked("mounted")))
		assert.Equal(t, "a=one", at(t, d, d.Marked("a")))
		assert.Equal(t, "a=one b=two", at(t, d, d.Marked("b")))
		assert.Equal(t, "a=one b=two", at(t, d, d.Marked("end")))
		assert.Equal(t, "a=one b=two never-synced=three", at(t, d, len(d.Entries())), "unmounting writes it")

		flushes := d.Flushes()
		last, _ := slices.BinarySearch(flushes, d.Marked("a")+1)
		require.Positive(t, last)
		assert.Greater(t, flushes[last-1], d.Marked("mounted"))
		assert.Equal(t, "a=one", at(t, d, flushes[last-1]), "the last flush before the mark")
		assert.Equal(t, "", at(t, d, flushes[last-1]-1-written(d, flushes[last-1])), "before what was written for it")
	})

	t.Run("at each flush of a run with a snapshot it is a file system, before or after each step", func(t *testing.T) {
		d := faulttest.NewDisk(t, 300) // with block groups of their own, as disks have
		dir := d.Mount()
		require.NoError(t, exec.Command("btrfs", "subvolume", "create", filepath.Join(dir, "s")).Run())
		writeSynced(t, filepath.Join(dir, "s", "f"), "one")
		require.NoError(t, exec.Command("btrfs", "subvolume", "snapshot", "-r", filepath.Join(dir, "s"), filepath.Join(dir, "t")).Run())
		writeSynced(t, filepath.Join(dir, "s", "new"), "two")
		require.NoError(t, os.Rename(filepath.Join(dir, "s", "new"), filepath.Join(dir, "s", "f")))
		require.NoError(t, exec.Command("sync", "-f", dir).Run())
		d.Mark("synced")
		d.Close()
		states := []string{"", "s/()", "s/(f=one)", "s/(f=one) t/(f=one)", "s/(f=one new=two) t/(f=one)", "s/(f=two) t/(f=one)"}

		var seen []string
		for _, n := range d.Flushes() {
			state := at(t, d, n)
			require.Contains(t, states, state)
			seen = append(seen, state)
		}
		assert.True(t, slices.IsSortedFunc(seen, func(a, b string) int { return slices.Index(states, a) - slices.Index(states, b) }), "%q", seen)
		assert.Equal(t, states[len(states)-1], at(t, d, d.Marked("synced")))
		assert.Greater(t, len(slices.Compact(seen)), 3, "%q", seen)

		for n := 0; n <= len(d.Entries()); n += 3 {
			require.Contains(t, states, at(t, d, n), "between flushes, after %d entries", n)
		}
		t.Logf("%d entries, %d flushes", len(d.Entries()), len(d.Flushes()))
	})

	t.Run("what is deleted may be forgotten by the disk, and is so in the replay", func(t *testing.T) {
		d := faulttest.NewDisk(t, 64)
		dir := d.Mount()
		content := strings.Repeat("content ", 1<<17)
		writeSynced(t, filepath.Join(dir, "big"), content)
		d.Mark("big")
		require.NoError(t, os.Remove(filepath.Join(dir, "big")))
		require.NoError(t, exec.Command("sync", "-f", dir).Run())
		require.NoError(t, exec.Command("fstrim", dir).Run())
		d.Close()

		assert.True(t, slices.ContainsFunc(d.Entries(), func(e faulttest.Entry) bool { return e.Discard }))
		assert.True(t, "big="+content == at(t, d, d.Marked("big")))
		assert.Equal(t, "", at(t, d, len(d.Entries())))
		image := filepath.Join(t.TempDir(), "image")
		d.Replay(t, len(d.Entries()), image)
		out, err := exec.Command("btrfs", "check", image).CombinedOutput()
		assert.NoError(t, err, "%s", out)
		whole, err := os.ReadFile(image)
		require.NoError(t, err)
		assert.False(t, strings.Contains(string(whole), content[:1<<16]))
	})
}

func TestReplayer(t *testing.T) {
	d := faulttest.NewDisk(t, 64)
	dir := d.Mount()
	d.Mark("mounted")
	states := []string{""}
	for _, name := range []string{"a", "b", "c"} {
		writeSynced(t, filepath.Join(dir, name), strings.Repeat(name, 3*4096))
		states = append(states, files(t, dir))
	}
	d.Close()
	look := func(t *testing.T, image string) string {
		t.Helper()
		dir := d.MountImage(t, image)
		defer snapshottest.Unmount(t, dir)
		return files(t, dir)
	}
	same := func(t *testing.T, a, b string) {
		t.Helper()
		out, err := exec.Command("cmp", a, b).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}

	t.Run("makes the images that Replay makes", func(t *testing.T) {
		r := d.Replayer(t)
		for n := d.Marked("mounted"); n <= len(d.Entries()); n += 5 {
			dir := t.TempDir()
			r.At(t, n, filepath.Join(dir, "one"))
			d.Replay(t, n, filepath.Join(dir, "other"))
			same(t, filepath.Join(dir, "one"), filepath.Join(dir, "other"))
		}
	})

	t.Run("loses of what was not flushed some, and of what was nothing", func(t *testing.T) {
		r := d.Replayer(t)
		chance := rand.New(rand.NewPCG(1, 1))
		at := 0 // which state was the last at a flush
		for _, f := range d.Flushes() {
			if f <= d.Marked("mounted") {
				continue
			}
			dir := t.TempDir()
			r.Torn(t, f-1, chance, filepath.Join(dir, "torn"))
			state := slices.Index(states, look(t, filepath.Join(dir, "torn")))
			require.GreaterOrEqual(t, state, at)
			lost := r.Blocks
			r.Torn(t, f, chance, filepath.Join(dir, "flushed"))
			assert.Equal(t, lost, r.Blocks)
			d.Replay(t, f, filepath.Join(dir, "replayed"))
			same(t, filepath.Join(dir, "flushed"), filepath.Join(dir, "replayed"))
			at = slices.Index(states, look(t, filepath.Join(dir, "flushed")))
			require.GreaterOrEqual(t, at, state)
		}
		assert.Equal(t, len(states)-1, at)
		assert.Positive(t, r.Blocks)
	})
}

// written is how many entries there are between a flush and the one before it.
func written(d *faulttest.Disk, flush int) (n int) {
	entries := d.Entries()
	for i := flush - 2; i >= 0 && !entries[i].Flush; i-- {
		n++
	}
	return n
}

func BenchmarkReplay(b *testing.B) {
	d := faulttest.NewDisk(b, 128)
	dir := d.Mount()
	for i := range 20 {
		require.NoError(b, os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), make([]byte, 1<<16), 0o600))
		require.NoError(b, exec.Command("sync", "-f", dir).Run())
	}
	d.Close()
	for b.Loop() {
		image := filepath.Join(b.TempDir(), "image")
		d.Replay(b, len(d.Entries()), image)
		snapshottest.Unmount(b, d.MountImage(b, image))
	}
}
