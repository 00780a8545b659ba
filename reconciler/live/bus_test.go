package live_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBus has the bus go in the middle of an apply.
func TestBus(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.units(map[string]string{
		"t-quick.service": running,
		"t-slow.service":  "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sh -c 'touch /run/reached; sleep 60'\nTimeoutStopSec=5\n",
	})
	outside := func(h *host, script string) {
		h.t.Helper()
		out, err := h.Traceable(h.t.Context(), "sh", "-c", script).CombinedOutput()
		require.NoError(h.t, err, "%s", out)
	}

	t.Run("that dies while a unit starts is an error, and what was changed is taken back over the next", func(t *testing.T) {
		h := all.within(t)
		before := h.state()
		h.config(`
plugin "systemd" {
  unit "t-quick.service" {
    enabled = true
    active  = true
  }
  unit "t-slow.service" { active = true }
}
`)
		var said bytes.Buffer
		apply := h.Traceable(t.Context(), "opdbus", "--chdir=/root/config", "apply", "--auto-approve")
		apply.Stdout, apply.Stderr = &said, &said
		require.NoError(t, apply.Start())
		outside(h, "until test -e /run/reached; do sleep 0.1; done; kill -KILL $(systemctl show --value --property=MainPID dbus.service)")
		_ = apply.Wait()

		assert.Equal(t, 5, apply.ProcessState.ExitCode(), said.String())
		assert.Contains(t, said.String(), "the bus has gone")
		assert.Contains(t, said.String(), "Everything that run 1 had changed was taken back")
		assert.Equal(t, before, h.state())
	})
}
