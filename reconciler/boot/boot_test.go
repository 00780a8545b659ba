package boot_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const recoverUnit = "opdbus-recover.service"

func TestBoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.configure("1", "true")
	h.Do("opdbus", "apply", "--auto-approve", "/root/config")
	before := h.state()

	t.Run("takes back a run that a power cut ended, before the network comes up", func(t *testing.T) {
		h.configure("2", "touch /run/reached; sleep 600")
		h.Do("sync")
		h.Do("systemd-run", "--unit=apply", "opdbus", "apply", "--auto-approve", "/root/config")
		h.eventually("test -e /run/reached")
		assert.NotEqual(t, before, h.state(), "the run is half done")

		h.Cut()

		assert.Equal(t, "success 0", h.property(recoverUnit, "Result")+" "+h.property(recoverUnit, "ExecMainStatus"))
		ended := h.when(recoverUnit, "ExecMainExit")
		assert.Less(t, ended, h.when("network-pre.target", "ActiveEnter"))
		assert.Less(t, ended, h.when("systemd-networkd.service", "ExecMainStart"))
		assert.Less(t, ended, h.when("systemd-sysctl.service", "ExecMainStart"))
		assert.Less(t, ended, h.when("sysinit.target", "ActiveEnter"))
		assert.Greater(t, h.when(recoverUnit, "ExecMainStart"), h.when("local-fs.target", "ActiveEnter"))
		assert.Equal(t, before, h.state())
		assert.Equal(t, "2 taken back", h.outcome())
		assert.Contains(t, h.Do("journalctl", "--boot", "--unit="+recoverUnit), "Run 2 had been cut off and was taken back: the host is as it was before that run.")
		assert.Equal(t, "running\n", h.Do("systemctl", "is-system-running", "--wait"))
	})

	t.Run("goes on where opdbus is gone", func(t *testing.T) {
		h.Do("mv", "/usr/local/bin/opdbus", "/root/opdbus")
		h.Reboot()
		assert.Equal(t, "running\n", h.Do("systemctl", "is-system-running", "--wait"))
		assert.Equal(t, "inactive no", h.property(recoverUnit, "ActiveState")+" "+h.property(recoverUnit, "ConditionResult"))
		h.Do("mv", "/root/opdbus", "/usr/local/bin/opdbus")
	})

	t.Run("does so for each store, whatever its path", func(t *testing.T) {
		const dir = `/srv/a b%d$x"y`
		h.Put("/root/other/main.hcl", `stage "other" {}`, 0o644)
		h.Do("opdbus", "--store", dir, "init")
		h.Do("opdbus", "--store", dir, "apply", "--auto-approve", "/root/other")
		h.Do("systemctl", "daemon-reload")
		unit, _, _ := strings.Cut(h.Do("systemctl", "list-unit-files", "--plain", "--no-legend", "opdbus-recover-*"), " ")

		h.Do("systemctl", "start", unit)

		assert.Equal(t, "active yes", h.property(unit, "ActiveState")+" "+h.property(unit, "ConditionResult"))
		assert.Contains(t, h.Do("journalctl", "--boot", "--unit="+unit), "No run was cut off.")
		assert.Equal(t, "", h.Do("systemd-analyze", "verify", recoverUnit, unit))
	})
}
