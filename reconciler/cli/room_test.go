package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// files is a stage with files of a size, made one way or another.
func files(count, size int, kind string) string {
	return fmt.Sprintf(`
stage "many" {
  dynamic "file" {
    for_each = flatten([for i in range(%d) : [for j in range(10) : format("f%%04d-%%d", i, j)]])
    labels   = [file.value]
    content {
      target  = "/etc/many/${file.value}"
      type    = %q
      content = "${file.value}%s"
    }
  }
}
`, count/10, kind, strings.Repeat("x", size-7))
}

// space is what room the world's file system has when all that was deleted is gone.
func (w *world) space() snapshot.Space {
	w.sh(`sync -f "$ROOT"; btrfs subvolume sync "$ROOT" >/dev/null; sync -f "$ROOT"`)
	s, err := snapshot.SpaceOf(w.root)
	require.NoError(w, err)
	return s
}

// TestRoom holds what a plan is said to need in the store against what applying it really takes: never less, and not so much more that
// what there is room for is refused.
func TestRoom(t *testing.T) {
	snapshottest.Need(t, "btrfs")
	said := regexp.MustCompile(`room: data=(\d+) metadata=(\d+)`)
	many := files(2000, 100, "symlink")
	for _, c := range []struct {
		what  string
		nodes []string
	}{
		{"10 links", []string{files(10, 100, "symlink")}},
		{"1000 copies of 1000 bytes", []string{files(1000, 1000, "copy")}},
		{"100 links to 100 kB", []string{files(100, 100_000, "symlink")}},
		{"2000 links, of which one changes", []string{many, strings.Replace(many, "value}x", `value}${file.value == "f0100-0" ? "y" : "x"}`, 1)}},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 512)
			w.sh("mount -o remount,commit=1 mnt") // what was deleted goes soon
			for i, node := range c.nodes {
				w.config(fmt.Sprint("v", i), "main.hcl", node)
			}
			w.must("init")
			for i := range c.nodes {
				before := w.space()
				out := w.must("--log-level", "debug", "apply", "--auto-approve", fmt.Sprint("v", i))
				m := said.FindStringSubmatch(out)
				require.NotNil(t, m, out)
				after := w.space()
				for j, used := range []uint64{after.Data.Used - before.Data.Used, after.Metadata.Used - before.Metadata.Used} {
					what := []string{"data", "metadata"}[j]
					need, err := strconv.ParseUint(m[j+1], 10, 64)
					require.NoError(t, err)
					t.Logf("%s: said %d KiB, used %d KiB", what, need>>10, used>>10)
					assert.LessOrEqual(t, used, need, what)
					assert.LessOrEqual(t, need, 8*used, what)
				}
			}
		})
	}
}

// TestFull fills a store's file system, with data or with metadata, but for what a small plan is said to need, and for less.
func TestFull(t *testing.T) {
	said := regexp.MustCompile(`is full: the plan needs up to (\d+) MiB for (data|metadata), and \d+ MiB of that are missing; delete snapshots \(opdbus snapshots prune, or delete\), or enlarge`)
	base := newWorld(t, 256)
	base.sh("mount -o remount,commit=1 mnt")
	base.config("v1", "main.hcl", `
stage "node" {
  for_each = toset(["a", "b", "c", "d", "e", "f"])
  file "x" {
    target  = "/etc/${each.key}"
    content = "x"
  }
}
`)
	base.must("init")
	for _, full := range []string{"data", "metadata"} {
		t.Run(full, func(t *testing.T) {
			w := base.fork(t)
			w.sh("mount -o remount,commit=1 mnt")
			w.fillUp(full == "metadata")
			before := w.state()
			code, out := w.run("apply", "--auto-approve", "v1")
			assert.Equal(t, 1, code)
			m := said.FindStringSubmatch(out)
			require.NotNil(t, m, out)
			assert.Equal(t, full, m[2])
			assert.Equal(t, before, w.state())

			// The least that is let through is enough.
			tries := 0
			for ; code == 1; tries++ {
				require.Less(t, tries, 100, out)
				w.freeSome(full == "metadata")
				code, out = w.run("apply", "--auto-approve", "v1")
			}
			assert.Zero(t, code, out)
			t.Logf("let through after %d tries", tries)
			w.unmount()
		})
	}
}

const smallFiles = 12_000

// fillUp fills a file system: its metadata with small files, its data with large ones, which get all that neither had.
func (w *world) fillUp(metadata bool) {
	ballast := w.ballast()
	require.NoError(w, os.Mkdir(ballast, 0o755))
	for i := range smallFiles {
		require.NoError(w, os.WriteFile(filepath.Join(ballast, strconv.Itoa(i)), make([]byte, 1900), 0o600))
	}
	w.sh(`sync -f mnt; mkdir mnt/steps; for i in $(seq 100); do fallocate -l 64K mnt/steps/$i; done; for kib in 131072 65536 32768 16384 8192 4096 2048 1024 512 256 128 64 32 16 4; do
	fallocate -l ${kib}K mnt/large-$kib 2>/dev/null || rm -f mnt/large-$kib; done`)
	if metadata {
		w.sh(`rm -r mnt/steps`)
		return
	}
	for i := range smallFiles { // not all, or the file system would take back what it gave to metadata
		if i%3 > 0 {
			require.NoError(w, os.Remove(filepath.Join(ballast, strconv.Itoa(i))))
		}
	}
	w.sh(`sync -f mnt`)
}

// freeSome gives some of that back.
func (w *world) freeSome(metadata bool) {
	if !metadata {
		w.sh(`rm mnt/steps/$(ls mnt/steps | head -n1); sync -f mnt`)
		return
	}
	for i, n := 0, 0; i < smallFiles && n < 200; i++ {
		if os.Remove(filepath.Join(w.ballast(), strconv.Itoa(i))) == nil {
			n++
		}
	}
	w.sh(`sync -f mnt`)
}

func (w *world) ballast() string { return filepath.Join(w.dir, "mnt", "ballast") }
