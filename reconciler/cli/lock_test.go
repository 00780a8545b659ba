package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// slow is a configuration whose apply takes a while, in its check, and says when it has come there.
const slow = `
stage "slow" {
  file "x" {
    target  = "/etc/x"
    content = "x"
  }
  verify "waits" { command = ["sh", "-c", "touch %/checking; while test ! -e %/go; do sleep 0.05; done"] }
}
`

func TestLock(t *testing.T) {
	t.Run("of two applies at once, one is told who has the lock, or waits", func(t *testing.T) {
		w := newWorld(t, 256)
		w.config("v", "main.hcl", strings.ReplaceAll(slow, "%", w.dir))
		w.must("init")
		first := w.command("apply", "--auto-approve", "v")
		require.NoError(t, first.Start())
		checking := func() bool {
			_, err := os.Stat(filepath.Join(w.dir, "checking"))
			return err == nil
		}
		require.Eventually(t, checking, 10*time.Second, 10*time.Millisecond)

		code, out := w.run("apply", "--auto-approve", "v")
		assert.Equal(t, 7, code)
		assert.Regexp(t, `the lock .* is held by process \d+ \(opdbus apply v\) since`, out)

		waiting := w.command("apply", "--auto-approve", "--lock-timeout", "20s", "v")
		var waited strings.Builder
		waiting.Stdout, waiting.Stderr = &waited, &waited
		require.NoError(t, waiting.Start())
		time.Sleep(200 * time.Millisecond)
		w.sh("touch go")
		require.NoError(t, first.Wait(), "the one that has the lock is not disturbed")
		require.NoError(t, waiting.Wait(), waited.String())
		assert.Regexp(t, `Waiting up to 20s for process \d+ \(opdbus apply v\)`, waited.String())
		assert.Contains(t, waited.String(), "No changes.")
	})

	t.Run("a killed holder's lock is taken over, and said so", func(t *testing.T) {
		w := applied(t)
		o := afterLock(faulttest.Options{KillAt: 30})
		require.True(t, faulttest.Run(t, w.command(apply()...), o).Hit)
		code, out := w.run(apply()...)
		assert.Zero(t, code)
		assert.Regexp(t, `The lock was left behind by process \d+ \(opdbus apply v2\) since .*, which is gone; taken over\.`, out)
		assert.Contains(t, out, "Run 2 had been cut off and was taken back")
	})

	t.Run("nothing begins after a run that was cut off while the lock was waited for", func(t *testing.T) {
		w := applied(t)
		store := filepath.Join(w.root, "var/lib/op-dbus/state")
		lock, err := ledger.Take(t.Context(), filepath.Join(store, "lock"), "test", 0, nil)
		require.NoError(t, err)
		before := w.state()
		second := w.command(append(apply(), "--lock-timeout", "20s")...)
		var out strings.Builder
		second.Stdout, second.Stderr = &out, &out
		require.NoError(t, second.Start())
		time.Sleep(time.Second) // it has planned by now, and waits
		cutOff, err := journal.Create(filepath.Join(store, "journal"), journal.Run{Run: 2, OnFailure: "rollback", Steps: 1})
		require.NoError(t, err)
		require.NoError(t, cutOff.Close())
		require.NoError(t, lock.Release())
		require.Error(t, second.Wait())
		assert.Equal(t, 4, second.ProcessState.ExitCode())
		assert.Contains(t, out.String(), "run 2 was cut off since the plan was made")
		assert.Equal(t, before, w.state())
	})
}
