package graph_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/graph"
)

// parse reads "a: b c; d" as a needing b and c, and d alone.
func parse(s string) *graph.Graph[string] {
	g := graph.New(strings.Compare)
	for _, line := range strings.Split(s, ";") {
		k, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		g.Add(k)
		for _, on := range strings.Fields(needs) {
			g.Need(k, on)
		}
	}
	return g
}

func TestSort(t *testing.T) {
	for _, c := range []struct{ what, graph, want string }{
		{"puts what is needed first", "a: b; b: c", "c b a"},
		{"goes by compare where there is a choice", "d; b; c: a; a", "a b c d"},
		{"takes the smallest of the ready each time", "a: z; b; m: b", "b m z a"},
		{"counts an edge once however often it is added", "a: b b b; b", "b a"},
	} {
		t.Run(c.what, func(t *testing.T) {
			order, err := parse(c.graph).Sort()
			require.NoError(t, err)
			assert.Equal(t, c.want, strings.Join(order, " "))
		})
	}

	t.Run("of nothing is nothing", func(t *testing.T) {
		order, err := graph.New(strings.Compare).Sort()
		require.NoError(t, err)
		assert.Empty(t, order)
	})
}

func TestCycleError(t *testing.T) {
	for _, c := range []struct{ what, graph, want string }{
		{"names the keys in order", "a: b; b: a", "cycle: a needs b needs a"},
		{"names a key that needs itself", "a: a; b", "cycle: a needs a"},
		{"starts at the smallest key", "c: b; b: a; a: c", "cycle: a needs c needs b needs a"},
		{"takes a shortest way", "a: b x; b: c; c: a; x: a", "cycle: a needs x needs a"},
		{"takes the smaller of two ways as long", "a: c b; b: a; c: a", "cycle: a needs b needs a"},
		{"leaves out what only leads to it or from it", "0: a; a: b z; b: a; z", "cycle: a needs b needs a"},
		{"says each that there is, by its smallest key", "y: z; z: y; b: a; a: b y",
			"cycle: a needs b needs a; cycle: y needs z needs y"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := parse(c.graph).Sort()
			var cycle *graph.CycleError[string]
			require.ErrorAs(t, err, &cycle)
			assert.Equal(t, c.want, err.Error())
		})
	}
}

func TestGraph(t *testing.T) {
	g := parse("b: d c c; a: c; d")

	t.Run("lists keys and neighbours by compare", func(t *testing.T) {
		assert.Equal(t, "keys [a b c d] b needs [c d] c is needed by [a b] x needs []",
			fmt.Sprintf("keys %v b needs %v c is needed by %v x needs %v", g.Keys(), g.Needs("b"), g.NeededBy("c"), g.Needs("x")))
	})

	t.Run("Reverse turns the edges round and leaves the graph as it is", func(t *testing.T) {
		r := g.Reverse()
		r.Need("c", "e")
		assert.Equal(t, []string{"a", "b", "e"}, r.Needs("c"))
		assert.Equal(t, []string{"b"}, r.Needs("d"))
		assert.Empty(t, g.Needs("c"))
		assert.Equal(t, []string{"a", "b", "c", "d"}, g.Keys())
	})
}

// edges draws a graph's edges over a few keys, so that cycles are common.
func edges(t *rapid.T) [][2]int {
	edge := rapid.Custom(func(t *rapid.T) [2]int {
		return [2]int{rapid.IntRange(0, 9).Draw(t, "from"), rapid.IntRange(0, 9).Draw(t, "on")}
	})
	return rapid.SliceOfN(edge, 0, 14).Draw(t, "edges")
}

func build(edges [][2]int) *graph.Graph[int] {
	g := graph.New(cmp.Compare[int])
	for _, e := range edges {
		g.Need(e[0], e[1])
	}
	return g
}

func TestProperties(t *testing.T) {
	t.Run("either all in order or a closed path of edges, whatever the insertion order", rapid.MakeCheck(func(t *rapid.T) {
		es := edges(t)
		order, err := build(es).Sort()
		again, errAgain := build(rapid.Permutation(es).Draw(t, "permuted")).Sort()
		assert.Equal(t, order, again)
		assert.Equal(t, fmt.Sprint(err), fmt.Sprint(errAgain))
		if err == nil {
			for _, e := range es {
				assert.Less(t, slices.Index(order, e[1]), slices.Index(order, e[0]), "%d needs %d", e[0], e[1])
			}
			assert.Equal(t, build(es).Keys(), slices.Sorted(slices.Values(order)))
			return
		}
		var cycle *graph.CycleError[int]
		require.ErrorAs(t, err, &cycle)
		require.NotEmpty(t, cycle.Cycles)
		var starts []int
		for _, c := range cycle.Cycles {
			require.GreaterOrEqual(t, len(c), 2)
			assert.Equal(t, c[0], c[len(c)-1])
			for i := range len(c) - 1 {
				assert.Contains(t, es, [2]int{c[i], c[i+1]})
			}
			starts = append(starts, c[0])
		}
		assert.Equal(t, smallestOfComponents(es), starts)
	}))
}

// smallestOfComponents is worked out the slow way, by who reaches whom.
func smallestOfComponents(es [][2]int) (smallest []int) {
	var reaches [10][10]bool
	for _, e := range es {
		reaches[e[0]][e[1]] = true
	}
	for via := range 10 {
		for i := range 10 {
			for j := range 10 {
				reaches[i][j] = reaches[i][j] || reaches[i][via] && reaches[via][j]
			}
		}
	}
	for i := range 10 {
		first := reaches[i][i]
		for j := range i {
			first = first && !(reaches[i][j] && reaches[j][i])
		}
		if first {
			smallest = append(smallest, i)
		}
	}
	return smallest
}

func TestCost(t *testing.T) {
	const n = 100_000
	for _, c := range []struct {
		what  string
		build func(g *graph.Graph[int], i int)
	}{
		{"a chain", func(g *graph.Graph[int], i int) { g.Need(i, i+1) }},
		{"a star", func(g *graph.Graph[int], i int) { g.Need(i+1, 0) }},
		{"a tree", func(g *graph.Graph[int], i int) { g.Need(i+1, i/2) }},
		{"a long cycle", func(g *graph.Graph[int], i int) { g.Need(i, (i+1)%n) }},
		{"many cycles", func(g *graph.Graph[int], i int) { g.Need(i, i^1) }},
	} {
		t.Run(c.what+" of 100,000 sorts without looking at each pair", func(t *testing.T) {
			g := graph.New(cmp.Compare[int])
			for i := range n {
				c.build(g, i)
			}
			start := time.Now()
			order, err := g.Sort()
			took := time.Since(start)
			var cycle *graph.CycleError[int]
			assert.True(t, len(order) >= n || errors.As(err, &cycle))
			assert.Less(t, took, time.Minute, "a tenth of a second where nothing else goes on, and many minutes were it the square of that")
			t.Log(took)
		})
	}
}
