package providertest

import (
	"context"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// A WatchSuite is what a kind that hears of what happens to its things has to hear of.
type WatchSuite struct {
	Kind  *state.Kind
	Addrs []state.Addr
	Made  []state.Object
	// Bell is the file of the last of the objects, which no step has anything to do with. What happened before has been heard of when
	// something is heard of it.
	Bell string

	steps []watchStep
}

type watchStep struct {
	what string
	do   func()
	keys []string
}

// When adds something that happens, and the keys of the objects that it happens to, ordered.
func (s *WatchSuite) When(what string, do func(), keys ...string) {
	s.steps = append(s.steps, watchStep{what, do, keys})
}

// RunWatch runs the suite.
func RunWatch(t *testing.T, s WatchSuite) {
	t.Helper()
	require.True(t, s.Kind.IsWatcher())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := &heard{keys: map[string]bool{}, some: make(chan struct{}, 1)}
	require.NoError(t, s.Kind.Watch(ctx, s.Addrs, s.Made, h.hear))
	bell := s.Addrs[len(s.Addrs)-1].Key
	require.NoError(t, os.Chmod(s.Bell, 0o600))
	h.until(t, bell)
	for i, step := range s.steps {
		step.do()
		require.NoError(t, os.Chmod(s.Bell, 0o644+os.FileMode(i%2)*0o20)) // one event
		require.Equal(t, step.keys, h.until(t, bell), step.what)
	}
	cancel()
}

// heard is what was heard of.
type heard struct {
	mu   sync.Mutex
	keys map[string]bool
	err  error
	some chan struct{}
}

func (h *heard) hear(named []state.Addr, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range named {
		h.keys[a.Key] = true
	}
	if h.err == nil {
		h.err = err
	}
	select {
	case h.some <- struct{}{}:
	default:
	}
}

// until waits for the bell, and takes what was heard of up to then.
func (h *heard) until(t *testing.T, bell string) []string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		h.mu.Lock()
		err, rang := h.err, h.keys[bell]
		if rang {
			delete(h.keys, bell)
			keys := slices.Sorted(maps.Keys(h.keys))
			clear(h.keys)
			h.mu.Unlock()
			return keys
		}
		h.mu.Unlock()
		require.NoError(t, err)
		select {
		case <-h.some:
		case <-limit:
			require.Fail(t, "the bell was not heard")
		}
	}
}
