package graph_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/graph"
)

func TestWalk(t *testing.T) {
	t.Run("one at a time goes in the order of Sort", func(t *testing.T) {
		g := parse("a: z; b; m: b; c: a m")
		order, err := g.Sort()
		require.NoError(t, err)
		var visited []string
		require.NoError(t, g.Walk(t.Context(), 1, func(_ context.Context, k string) error {
			visited = append(visited, k)
			return nil
		}))
		assert.Equal(t, order, visited)
	})

	t.Run("starts the ready ones in the order of Sort", func(t *testing.T) {
		started, finish := make(chan string), map[string]chan struct{}{}
		for _, k := range strings.Fields("a b c d") {
			finish[k] = make(chan struct{})
		}
		done := make(chan error)
		go func() {
			done <- parse("a; b; c: b; d").Walk(t.Context(), 2, func(_ context.Context, k string) error {
				started <- k
				<-finish[k]
				return nil
			})
		}()
		pair := []string{<-started, <-started}
		assert.ElementsMatch(t, []string{"a", "b"}, pair)
		close(finish["b"])
		assert.Equal(t, "c", <-started, "c is ready by now and comes before d")
		close(finish["c"])
		assert.Equal(t, "d", <-started)
		close(finish["a"])
		close(finish["d"])
		require.NoError(t, <-done)
	})

	t.Run("a failure starts nothing new, and what runs ends", func(t *testing.T) {
		running := make(chan struct{})
		var visited sync.Map
		err := parse("a; b; c; d: a").Walk(t.Context(), 2, func(ctx context.Context, k string) error {
			visited.Store(k, true)
			if k == "a" {
				<-running
				return errors.New("a failed")
			}
			close(running)
			assert.NoError(t, ctx.Err())
			return errors.New("b failed")
		})
		assert.EqualError(t, err, "a failed\nb failed")
		var keys []string
		visited.Range(func(k, _ any) bool { keys = append(keys, k.(string)); return true })
		assert.ElementsMatch(t, []string{"a", "b"}, keys)
	})

	t.Run("the end of the context starts nothing new and is an error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var visits int
		err := parse("a; b").Walk(ctx, 1, func(context.Context, string) error {
			visits++
			cancel()
			return nil
		})
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, visits)
	})

	t.Run("the end of the context after the last key is none", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		assert.NoError(t, parse("a").Walk(ctx, 0, func(context.Context, string) error {
			cancel()
			return nil
		}))
	})

	t.Run("a cycle visits nothing", func(t *testing.T) {
		err := parse("a: b; b: a; c").Walk(t.Context(), 4, func(_ context.Context, k string) error {
			return fmt.Errorf("visited %s", k)
		})
		assert.EqualError(t, err, "cycle: a needs b needs a")
	})
}

func TestWalkProperties(t *testing.T) {
	t.Run("each once, after all it needs, never more at once than allowed", rapid.MakeCheck(func(t *rapid.T) {
		g := graph.New(cmp.Compare[int])
		for range rapid.IntRange(0, 60).Draw(t, "edges") {
			k := rapid.IntRange(1, 30).Draw(t, "key")
			g.Need(k, rapid.IntRange(0, k-1).Draw(t, "on"))
		}
		parallelism := rapid.IntRange(1, 5).Draw(t, "parallelism")
		var running, most atomic.Int32
		var done sync.Map
		require.NoError(t, g.Walk(t.Context(), parallelism, func(_ context.Context, k int) error {
			now := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			for _, on := range g.Needs(k) {
				if _, ok := done.Load(on); !ok {
					return fmt.Errorf("%d started before %d was done", k, on)
				}
			}
			if _, twice := done.LoadOrStore(k, true); twice {
				return fmt.Errorf("%d was visited twice", k)
			}
			return nil
		}))
		assert.LessOrEqual(t, int(most.Load()), parallelism)
		for _, k := range g.Keys() {
			_, ok := done.Load(k)
			assert.True(t, ok, "%d was not visited", k)
		}
	}))
}
