package reconciler_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

type dated struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"` // when it changed
}

func (d dated) Key() string { return d.Name }

type datedKind struct{ state.Provider[dated] }

func (datedKind) Changed(_ context.Context, item state.Item[dated]) (time.Time, error) {
	return item.Want.At, nil
}

func TestSince(t *testing.T) {
	at := func(s string) time.Time {
		at, err := time.Parse("15:04", s)
		require.NoError(t, err)
		return at.AddDate(2026, 0, 0)
	}
	journal := func(run int, started time.Time, objects string) string {
		return fmt.Sprintf(`{"run":{"run":%d,"started":%q,"before":{"version":1,"run":0}}}
{"begun":{"step":1,"node":"stage.n","changes":[%s]}}
{"done":{"step":1,"post":"p"}}
{"end":{"outcome":"applied","ended":%q}}
`, run, started.Format(time.RFC3339), objects, started.Format(time.RFC3339))
	}
	const a, b, c = `{"object":"dated[\"a\"]"}`, `{"object":"dated[\"b\"]"}`, `{"object":"plain[\"c\"]"}`
	host := state.Host{Root: t.TempDir()}
	r := &reconciler.Reconciler{Store: store.LayoutOf(host), Kinds: state.Kinds{
		state.KindOf[dated]("stage", "dated", datedKind{}), state.KindOf[dated]("stage", "plain", struct{ state.Provider[dated] }{}),
	}}
	require.NoError(t, os.MkdirAll(r.Store.JournalDir(), 0o755))
	write := func(run int, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(r.Store.JournalDir(), fmt.Sprintf("%d.jsonl", run)), []byte(content), 0o600))
	}
	write(1, journal(1, at("10:00"), a+","+b+","+c))
	write(2, journal(2, at("12:00"), b))
	since := func(kind, name string, changed time.Time) time.Time {
		t.Helper()
		of := state.Addr{Node: state.NodeAddr{Type: state.StageNode, Name: "n"}, Kind: kind, Key: name}
		got, err := r.Since(t.Context(), []reconciler.Owned{{Addr: of, Made: dated{name, changed}, Run: 2}})
		require.NoError(t, err)
		require.Len(t, got, 1)
		return got[0]
	}

	t.Run("is when the thing changed, from the run on that made it", func(t *testing.T) {
		assert.Equal(t, at("11:00"), since("dated", "a", at("11:00")), "before the last run that changed its node, which did not change it")
		assert.Equal(t, at("12:00"), since("dated", "b", at("12:00")))
	})
	t.Run("is never before the run that made it", func(t *testing.T) {
		assert.Zero(t, since("dated", "a", at("09:00")))
		assert.Zero(t, since("dated", "b", at("11:00")))
	})
	t.Run("is not known of a kind that cannot tell, and where no run is known to have made it", func(t *testing.T) {
		assert.Zero(t, since("plain", "c", at("11:00")))
		assert.Zero(t, since("dated", "d", at("11:00")))
	})
	t.Run("is not known when the run that made it may be one that cannot be read", func(t *testing.T) {
		write(2, "damaged\n")
		assert.Zero(t, since("dated", "a", at("11:00")))
	})
}
