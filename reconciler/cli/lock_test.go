package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
		assert.Regexp(t, `the lock .* is held by process \d+ \(opdbus apply v\) since .*, run 1;`, out)

		waiting, waited := w.wait("apply", "--auto-approve", "--lock-timeout", "60s", "v")
		w.sh("touch go")
		require.NoError(t, first.Wait(), "the one that has the lock is not disturbed")
		require.NoError(t, waiting.Wait(), waited.String())
		assert.Regexp(t, `Waiting up to 1m0s for process \d+ \(opdbus apply v\)`, waited.String())
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
		second, out := w.wait(append(apply(), "--lock-timeout", "60s")...) // it has planned by then
		cutOff, err := journal.Create(filepath.Join(store, "journal"), journal.Run{Run: 2, OnFailure: "rollback", Steps: 1})
		require.NoError(t, err)
		require.NoError(t, cutOff.Close())
		require.NoError(t, lock.Release())
		require.Error(t, second.Wait())
		assert.Equal(t, 4, second.ProcessState.ExitCode())
		assert.Contains(t, out.String(), "run 2 was cut off since the plan was made")
		assert.Equal(t, before, w.state())
	})

	for _, c := range []struct{ name, config string }{
		{"of one node", "stage \"a\" {\n  file \"x\" {\n    target  = \"/etc/x\"\n    type    = \"copy\"\n    content = \"new\"\n  }\n}\n"},
		{"of several", "stage \"a\" {\n  file \"x\" {\n    target  = \"/etc/x\"\n    type    = \"copy\"\n    content = \"new\"\n  }\n}\nstage \"b\" {}\n"},
	} {
		t.Run("a plan "+c.name+" that the host has left behind changes nothing", func(t *testing.T) {
			w := newWorld(t, 256)
			w.config("old", "main.hcl", strings.ReplaceAll(c.config, "new", "old"))
			w.config("new", "main.hcl", c.config)
			w.must("init")
			w.must("apply", "--auto-approve", "old")
			lock, err := ledger.Take(t.Context(), filepath.Join(w.root, "var/lib/op-dbus/state/lock"), "test", 0, nil)
			require.NoError(t, err)
			late, out := w.wait("apply", "--auto-approve", "--lock-timeout", "60s", "new")
			w.sh(`echo edited > "$ROOT/etc/x"`)
			before := w.state()
			require.NoError(t, lock.Release())
			require.Error(t, late.Wait())
			assert.Equal(t, 4, late.ProcessState.ExitCode(), out.String())
			assert.Contains(t, out.String(), `the plan is stale: stage.a.file["x"] changed on the host`)
			assert.Equal(t, before, w.state())
			assert.NoFileExists(t, filepath.Join(w.root, "var/lib/op-dbus/state/journal/2.jsonl"), "no run was begun")
		})
	}
}

// said is what a program has said so far, which a test may read while it goes on.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// wait starts opdbus, which has to wait for the lock, and returns when it says that it does.
func (w *world) wait(args ...string) (*exec.Cmd, *said) {
	w.Helper()
	cmd, out := w.command(args...), new(said)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(w, cmd.Start())
	w.Cleanup(func() { _ = cmd.Process.Kill() })
	require.Eventually(w, func() bool { return strings.Contains(out.String(), "Waiting up to") }, 30*time.Second, 10*time.Millisecond, "%s", out)
	return cmd, out
}
