package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// many is how many files and links the benchmarks are about.
const many = 10_000

// manyFiles is a stage with many files and a link to each.
func manyFiles(b *testing.B) (w *world, source string, blocks []File) {
	b.Helper()
	w, source = newWorld(b), filepath.Join(b.TempDir(), "source")
	for i := range many {
		path := fmt.Sprintf("share/d%02d/file-%05d", i%20, i)
		providertest.Write(b, filepath.Join(source, path), fmt.Sprintf("content %d", i))
		blocks = append(blocks, File{Path: path, Target: fmt.Sprintf("/usr/local/bin/link-%05d", i)})
	}
	time.Sleep(time.Duration(2 * tree.Grain()))
	return w, source, blocks
}

func (w *world) expand(b *testing.B, source string, blocks []File) *state.Node {
	b.Helper()
	_, node := w.expandQuietly(Stage{Source: source}, blocks)
	require.Len(b, node.Objects, 2*many+20+1+1)
	return node
}

func (w *world) expandQuietly(self Stage, blocks []File) (state.Diagnostics, *state.Node) {
	node := &state.Node{Addr: w.node, Self: self}
	for _, f := range blocks {
		node.Objects = append(node.Objects, state.Declared{Addr: w.addr("file", f.Path), Object: f})
	}
	return w.kinds.ForNode("stage").Expand(w.t.Context(), &state.Config{Nodes: []*state.Node{node}}, node), node
}

// of are the addresses and objects of one kind.
func of(node *state.Node, kind string) (addrs []state.Addr, wants []state.Object) {
	for _, d := range node.Objects {
		if d.Addr.Kind == kind {
			addrs, wants = append(addrs, d.Addr), append(wants, d.Object)
		}
	}
	return addrs, wants
}

func creations(node *state.Node, kind string) []state.Change {
	addrs, wants := of(node, kind)
	changes := make([]state.Change, len(addrs))
	for i := range addrs {
		changes[i] = state.Change{Addr: addrs[i], After: wants[i]}
	}
	return changes
}

// BenchmarkUnchanged is what a plan that changes nothing costs: expanding and reading the payload and the links, each as
// a multiple of a loop of lstat and readlink over the links.
func BenchmarkUnchanged(b *testing.B) {
	w, source, blocks := manyFiles(b)
	node := w.expand(b, source, blocks)
	for _, kind := range []string{"payload", "file"} {
		require.NoError(b, w.kind(kind).Apply(b.Context(), w.site, creations(node, kind)))
	}
	loop := shortest(5, func() {
		for _, f := range blocks {
			_, err := os.Lstat(w.Path(f.Target))
			require.NoError(b, err)
			_, err = os.Readlink(w.Path(f.Target))
			require.NoError(b, err)
		}
	})
	var expanding, payload, links time.Duration
	b.ReportAllocs()
	for b.Loop() {
		expanding += took(func() { _, node = w.expandQuietly(Stage{Source: source}, blocks) })
		payload += took(func() { w.readAll(b, node, "payload") })
		links += took(func() { w.readAll(b, node, "file") })
	}
	for name, d := range map[string]time.Duration{"expand": expanding, "payload": payload, "links": links} {
		b.ReportMetric(float64(d)/float64(b.N)/float64(loop), name+"/loop")
	}
	b.ReportMetric(float64(loop.Microseconds())/1000, "loop-ms")
}

func (w *world) readAll(b *testing.B, node *state.Node, kind string) {
	addrs, wants := of(node, kind)
	lives, err := w.kind(kind).Read(b.Context(), addrs, wants)
	require.NoError(b, err)
	for i := range lives {
		if !state.Same(lives[i], wants[i]) {
			b.Fatalf("%s differs: %+v, %+v", addrs[i], lives[i], wants[i])
		}
	}
}

// BenchmarkCreate is what making many files and links costs, the links as a multiple of a loop of symlink and rename.
func BenchmarkCreate(b *testing.B) {
	w, source, blocks := manyFiles(b)
	node := w.expand(b, source, blocks)
	dir := w.Path("/tmp/loop")
	loop := shortest(2, func() {
		require.NoError(b, os.RemoveAll(dir))
		require.NoError(b, os.Mkdir(dir, 0o755))
		for i, f := range blocks {
			name := fmt.Sprint(dir, "/", i)
			require.NoError(b, os.Symlink(f.Path, name+".new"))
			require.NoError(b, os.Rename(name+".new", name))
		}
	})
	var payload, links time.Duration
	for b.Loop() {
		for _, kind := range []string{"payload", "file"} {
			changes := creations(node, kind)
			d := took(func() { require.NoError(b, w.kind(kind).Apply(b.Context(), w.site, changes)) })
			if kind == "payload" {
				payload += d
			} else {
				links += d
			}
			for i, c := range changes {
				changes[i] = c.Inverse()
			}
			require.NoError(b, w.kind(kind).Apply(b.Context(), w.site, changes))
		}
	}
	b.ReportMetric(float64(payload)/float64(b.N)/float64(loop), "payload/loop")
	b.ReportMetric(float64(links)/float64(b.N)/float64(loop), "links/loop")
	b.ReportMetric(float64(loop.Microseconds())/1000, "loop-ms")
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// shortest is the least time of a few.
func shortest(times int, f func()) time.Duration {
	least := took(f)
	for range times - 1 {
		least = min(least, took(f))
	}
	return least
}
