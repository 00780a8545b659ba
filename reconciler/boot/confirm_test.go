package boot_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConfirmation(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.configure("1", "true")
	h.Do("opdbus", "apply", "--auto-approve", "/root/config")
	before := h.state()
	waiting := func() string { return h.Do("systemctl", "list-units", "--plain", "--no-legend", "opdbus-confirm-*") }

	// Do runs a command as a unit of its own, which ends with the command, and all that is in it.
	t.Run("that does not come has the run taken back though whoever made it is gone", func(t *testing.T) {
		h.configure("2", "true")
		h.Do("opdbus", "apply", "--auto-approve", "--confirm-timeout", "8s", "/root/config")
		assert.Regexp(t, `^opdbus-confirm-2\.service +loaded active running `, waiting())
		assert.Equal(t, "2 waits for its confirmation", h.outcome())
		assert.NotEqual(t, before, h.state())

		h.eventually("opdbus history | grep '^2 .*taken back'")

		assert.Equal(t, before, h.state())
		h.eventually("! systemctl is-active opdbus-confirm-2.service")
		assert.Equal(t, "", waiting())
	})

	t.Run("that has not come when the power is cut has the run taken back at boot", func(t *testing.T) {
		h.Do("opdbus", "release")
		h.Do("opdbus", "apply", "--auto-approve", "--confirm-timeout", "10m", "/root/config")
		assert.NotEqual(t, before, h.state())

		h.Cut()

		assert.Less(t, h.when(recoverUnit, "ExecMainExit"), h.when("network-pre.target", "ActiveEnter"))
		assert.Equal(t, before, h.state())
		assert.Equal(t, "3 taken back", h.outcome())
		assert.Equal(t, "", waiting())
		assert.Equal(t, "running\n", h.Do("systemctl", "is-system-running", "--wait"))
	})

	t.Run("that comes has the run stay, also when the host is started anew", func(t *testing.T) {
		h.Do("opdbus", "release")
		h.Do("opdbus", "apply", "--auto-approve", "--confirm-timeout", "10m", "/root/config")
		h.Do("opdbus", "confirm")
		after := h.state()
		h.eventually("! systemctl is-active opdbus-confirm-4.service")
		assert.Equal(t, "", waiting())

		h.Cut()

		assert.Contains(t, h.Do("journalctl", "--boot", "--unit="+recoverUnit), "No run was cut off.")
		t.Logf("finding that out took %s of the boot", h.when(recoverUnit, "ActiveEnter")-h.when(recoverUnit, "InactiveExit"))
		assert.Equal(t, after, h.state())
		h.Do("opdbus", "verify")
		assert.Equal(t, "4 applied", h.outcome())
		assert.NotEqual(t, before, after)
	})
}
