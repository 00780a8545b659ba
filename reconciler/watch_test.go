package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/store"
)

// A told thing is a name and what stands there. Its kind tells what it is told happened, and counts what is read.
type told struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (t told) Key() string { return t.Name }

type tellingKind struct {
	state.Provider[told]
	mu     sync.Mutex
	live   map[string]string
	reads  []string
	tell   func([]state.Addr, error)
	begun  int // how often somebody began to listen
	broken error
	hook   func() // called while something is read
}

func (k *tellingKind) Read(_ context.Context, want told) (*told, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads = append(k.reads, want.Name)
	if k.hook != nil {
		k.hook()
	}
	value, ok := k.live[want.Name]
	if !ok || k.broken != nil {
		return nil, k.broken
	}
	return &told{want.Name, value}, nil
}

func (k *tellingKind) Watch(_ context.Context, _ []state.Item[told], tell func([]state.Addr, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tell, k.begun = tell, k.begun+1
	return nil
}

// set makes something happen, and tells of it when it is to be heard of.
func (k *tellingKind) set(heard bool, name, value string) {
	k.mu.Lock()
	k.live[name] = value
	k.reads = nil
	tell := k.tell
	k.mu.Unlock()
	if heard {
		tell([]state.Addr{toldAddr(name)}, nil)
	}
}

func (k *tellingKind) read() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

func toldAddr(name string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.StageNode, Name: "n"}, Kind: "told", Key: name}
}

// A watched host is one whose drift is told.
type watched struct {
	*testing.T
	*tellingKind
	r      *reconciler.Reconciler
	turned chan string // NAME VALUE, or NAME mended
	stop   context.CancelFunc
	ended  chan error
	n      int // drifted at the end
}

// own writes the ledger as a run does.
func own(t *testing.T, r *reconciler.Reconciler, run int, things ...string) {
	t.Helper()
	entries := ""
	for i := 0; i < len(things); i += 2 {
		if i > 0 {
			entries += ","
		}
		entries += fmt.Sprintf(`{"object":"told[\"%s\"]","made":{"name":"%[1]s","value":"%s"}}`, things[i], things[i+1])
	}
	temp := r.Store.Ledger() + ".new"
	require.NoError(t, os.WriteFile(temp, fmt.Appendf(nil, `{"version":1,"run":%d,"nodes":{"stage.n":{"run":%[1]d,"objects":[%s]}}}`, run, entries), 0o600))
	require.NoError(t, os.Rename(temp, r.Store.Ledger()))
}

func watch(t *testing.T) *watched {
	t.Helper()
	kind := &tellingKind{live: map[string]string{"a": "1", "b": "1", "c": "1"}}
	r := &reconciler.Reconciler{Store: store.LayoutOf(state.Host{Root: t.TempDir()}), Kinds: state.Kinds{state.KindOf[told]("stage", "told", kind)}, Log: hclog.NewNullLogger()}
	require.NoError(t, os.MkdirAll(r.Store.JournalDir(), 0o755))
	own(t, r, 1, "a", "1", "b", "1", "c", "1")
	return &watched{T: t, tellingKind: kind, r: r, turned: make(chan string, 100), ended: make(chan error, 1)}
}

// begin begins to watch, and waits until everything was looked at once.
func (w *watched) begin() *watched {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	w.stop = stop
	first := make(chan struct{})
	go func() {
		var err error
		w.n, err = w.r.Watch(ctx, reconciler.WatchOptions{
			First: func([]reconciler.Owned) error { close(first); return nil },
			Turned: func(turned []reconciler.Owned) error {
				for _, o := range turned {
					what := "mended"
					if o.Live == nil && o.Made != nil {
						what = "missing"
					} else if o.Drifted() {
						what = o.Live.(told).Value
					}
					w.turned <- o.Addr.Key + " " + what
				}
				return nil
			},
			Waiting: func(why string) { w.turned <- why },
		})
		w.ended <- err
	}()
	w.Cleanup(stop)
	select {
	case <-first:
	case why := <-w.turned:
		w.turned <- why
	case err := <-w.ended:
		require.NoError(w, err)
	case <-time.After(10 * time.Second):
		require.Fail(w, "the host is not looked at")
	}
	return w
}

// next is what is told next.
func (w *watched) next() string {
	w.Helper()
	select {
	case s := <-w.turned:
		return s
	case err := <-w.ended:
		require.Fail(w, "it ended", err)
	case <-time.After(10 * time.Second):
		require.Fail(w, "nothing is told")
	}
	return ""
}

// end ends it, and gives what it told last, and how many are drifted.
func (w *watched) end() (said []string, drifted int) {
	w.Helper()
	w.stop()
	require.NoError(w, <-w.ended)
	for {
		select {
		case s := <-w.turned:
			said = append(said, s)
		default:
			return said, w.n
		}
	}
}

// locked takes the lock, as a run does, for f.
func (w *watched) locked(f func()) {
	w.Helper()
	lock, err := ledger.Take(w.Context(), w.r.Store.Lock(), "a run", 0, nil)
	require.NoError(w, err)
	f()
	require.NoError(w, lock.Release())
}

func TestWatch(t *testing.T) {
	t.Run("only what something happened to is read, and only what turned is told", func(t *testing.T) {
		w := watch(t).begin()
		assert.Equal(t, []string{"a", "b", "c"}, w.read())
		w.set(true, "b", "2")
		assert.Equal(t, "b 2", w.next())
		assert.Equal(t, []string{"b"}, w.read())
		w.set(true, "b", "3")
		assert.Equal(t, "b 3", w.next(), "drifted otherwise")
		w.set(true, "b", "3")
		w.set(true, "b", "1")
		assert.Equal(t, "b mended", w.next())
		w.set(false, "a", "2") // of which nothing is heard
		w.set(true, "c", "2")
		assert.Equal(t, "c 2", w.next())
		assert.Equal(t, []string{"c"}, w.read())
		said, drifted := w.end()
		assert.Empty(t, said)
		assert.Equal(t, 1, drifted)
	})

	t.Run("a burst is read once", func(t *testing.T) {
		w := watch(t).begin()
		for i := range 100 {
			w.set(true, "a", fmt.Sprint(i))
		}
		assert.Equal(t, "a 99", w.next())
		assert.Len(t, w.read(), 1)
		w.end()
	})

	t.Run("what happened right before the end is told still, and counts", func(t *testing.T) {
		w := watch(t).begin()
		w.set(true, "a", "2")
		said, drifted := w.end()
		assert.Equal(t, []string{"a 2"}, said)
		assert.Equal(t, 1, drifted)
	})

	t.Run("what a run changes is looked at when it has ended, by the ledger that it leaves", func(t *testing.T) {
		w := watch(t).begin()
		w.set(true, "c", "2")
		assert.Equal(t, "c 2", w.next())
		w.locked(func() {
			w.set(true, "a", "2")
			w.set(true, "b", "2")
			w.set(true, "c", "1")
			w.set(false, "d", "1")
			time.Sleep(300 * time.Millisecond) // long enough for what is wrong to be told
			assert.Empty(t, w.read())
			own(t, w.r, 2, "a", "2", "b", "3", "d", "1")
		})
		assert.Equal(t, "c mended", w.next(), "it is owned no longer")
		assert.Equal(t, "b 2", w.next())
		assert.Equal(t, 2, w.begun, "what is new is listened to")
		w.set(true, "d", "2")
		assert.Equal(t, "d 2", w.next())
		w.end()
	})

	t.Run("what was read while a run began is not told", func(t *testing.T) {
		w := watch(t).begin()
		w.mu.Lock()
		w.hook = func() { // the run has begun, done its work and ended before the value is read
			w.hook = nil
			w.locked(func() { own(t, w.r, 2, "a", "2", "b", "1", "c", "1") })
		}
		w.mu.Unlock()
		w.set(true, "a", "2")
		w.set(true, "c", "5")
		assert.Equal(t, "c 5", w.next(), "and not that a is 2")
		said, drifted := w.end()
		assert.Empty(t, said)
		assert.Equal(t, 1, drifted)
	})

	t.Run("a run that was cut off is said, and nothing is told until it has been recovered", func(t *testing.T) {
		w := watch(t)
		path := filepath.Join(w.r.Store.JournalDir(), "1.jsonl")
		begun := `{"run":{"run":1,"started":"2026-01-02T03:04:05Z","steps":1,"before":{"version":1,"run":0}}}` + "\n"
		require.NoError(t, os.WriteFile(path, []byte(begun), 0o600))
		w.begin()
		assert.Contains(t, w.next(), "run 1 was cut off")
		w.mu.Lock()
		w.live["a"] = "2"
		w.mu.Unlock()
		assert.Empty(t, w.read())
		w.locked(func() {
			end := `{"end":{"outcome":"taken back","ended":"2026-01-02T03:04:05Z"}}` + "\n"
			require.NoError(t, os.WriteFile(path, []byte(begun+end), 0o600))
		})
		require.Eventually(t, func() bool { return len(w.read()) == 3 }, 10*time.Second, time.Millisecond)
		_, drifted := w.end()
		assert.Equal(t, 1, drifted)
	})

	t.Run("what cannot be read ends it, but not at the first time", func(t *testing.T) {
		w := watch(t).begin()
		w.mu.Lock()
		w.broken = errors.New("cannot read it")
		w.mu.Unlock()
		w.set(true, "a", "2")
		require.Eventually(t, func() bool { return len(w.read()) == 1 }, 10*time.Second, time.Millisecond)
		w.mu.Lock()
		w.broken = nil
		w.mu.Unlock()
		assert.Equal(t, "a 2", w.next())
		w.mu.Lock()
		w.broken = errors.New("cannot read it")
		w.mu.Unlock()
		w.set(true, "a", "3")
		assert.ErrorContains(t, <-w.ended, "cannot read it")
		assert.Len(t, w.read(), 3)
	})

	t.Run("a kind that hears no more ends it", func(t *testing.T) {
		w := watch(t).begin()
		w.tell(nil, errors.New("deaf"))
		assert.ErrorContains(t, <-w.ended, "deaf")
	})

	t.Run("without a store there is nothing to watch", func(t *testing.T) {
		r := &reconciler.Reconciler{Store: store.LayoutOf(state.Host{Root: t.TempDir()})}
		_, err := r.Watch(t.Context(), reconciler.WatchOptions{})
		assert.ErrorContains(t, err, "opdbus init")
	})
}
