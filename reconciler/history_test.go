package reconciler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

func TestHistory(t *testing.T) {
	const (
		run    = `{"run":{"run":%d,"command":"opdbus apply","opdbus":"1","host":"h","config":"c","digest":"sha256:x","on_failure":"rollback","started":"2026-01-02T03:04:05Z","steps":2,"before":{"version":1,"run":0}}}` + "\n"
		begun  = `{"begun":{"step":1,"node":"stage.a","existed":false,"pre":"pre-a","changes":[]}}` + "\n"
		done   = `{"done":{"step":1,"post":"post-a"}}` + "\n"
		undone = `{"undone":{"step":1}}` + "\n"
		end    = `{"end":{"outcome":"kept","error":"why","ended":"2026-01-02T03:04:06Z"}}` + "\n"
	)
	host := state.Host{Root: t.TempDir()}
	r := &reconciler.Reconciler{Host: host, Store: store.LayoutOf(host)}
	require.NoError(t, os.MkdirAll(r.Store.JournalDir(), 0o755))
	for i, journal := range []string{run + begun + done + end, run + begun, run + begun + done + undone, run + "torn", "", "damaged\n"} {
		if i < 4 {
			journal = fmt.Sprintf(journal, i+1)
		}
		require.NoError(t, os.WriteFile(filepath.Join(r.Store.JournalDir(), fmt.Sprintf("%d.jsonl", i+1)), []byte(journal), 0o600))
	}

	past, unreadable, err := r.History()

	require.NoError(t, err)
	t.Run("tells newest first how each run ended, and what became of its nodes", func(t *testing.T) {
		var told []string
		for _, p := range past {
			line := fmt.Sprintf("%d %s%s", p.Run, p.Outcome, p.Error)
			for _, n := range p.Nodes {
				line += fmt.Sprintf(", %s %s", n.Node, n.Outcome)
			}
			told = append(told, line)
		}
		assert.Equal(t, []string{
			"4 cut off",
			"3 broken, stage.a taken back",
			"2 cut off, stage.a not complete",
			"1 keptwhy, stage.a done",
		}, told)
	})
	t.Run("lists what cannot be read apart, and leaves out what had not begun", func(t *testing.T) {
		require.Len(t, unreadable, 1)
		assert.Equal(t, 6, unreadable[0].Run)
		assert.ErrorContains(t, unreadable[0].Err, "line 1 is damaged")
	})
}
