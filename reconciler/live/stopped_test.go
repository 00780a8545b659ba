package live_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	first = `
plugin "systemd" {
  unit "t-quick.service" {
    enabled = true
    active  = true
  }
  %s
}
`
	pretty = `
plugin "dbus" {
  dependencies = ["plugin.systemd"]
  %s
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "Stopped"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
}
`
)

// TestStopped has a service hang in the middle of an apply, and the package system be in use.
func TestStopped(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.Put("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n", 0o644)
	all.units(map[string]string{"t-quick.service": running})
	all.Do("hostnamectl", "set-hostname", "--pretty", "As it was")
	host := func(h *host) string {
		return h.state() + h.packages() + h.Do("sh", "-c", "grep PRETTY /etc/machine-info")
	}

	t.Run("a service that hangs before its node is an error that names it, and what was changed is taken back", func(t *testing.T) {
		h := all.within(t)
		before := host(h)
		h.config(fmt.Sprintf(first, `health "stops" { command = ["systemctl", "kill", "--signal=STOP", "systemd-hostnamed"] }`) + fmt.Sprintf(pretty, ""))
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, "org.freedesktop.hostname1 did not answer GetAll within 25s; the service may hang")
		assert.Contains(t, out, "Everything that run 1 had changed was taken back")
		h.Do("systemctl", "kill", "--signal=CONT", "systemd-hostnamed")
		assert.Equal(t, before, host(h))
	})
	t.Run("one that hangs when it is to change something is asked again when it can answer", func(t *testing.T) {
		h := all.within(t)
		before := host(h)
		h.must(0, "release")
		h.config(fmt.Sprintf(first, "") + fmt.Sprintf(pretty, `
  call "stops" {
    service   = "org.freedesktop.systemd1"
    path      = "/org/freedesktop/systemd1"
    interface = "org.freedesktop.systemd1.Manager"
    method    = "KillUnit"
    args      = ["systemd-hostnamed.service", "main", 19]
    unless = {
      property = "LogLevel"
      equals   = "debug"
    }
  }
`))
		out := h.must(6, "apply", "--auto-approve")
		assert.Contains(t, out, "org.freedesktop.hostname1 did not answer GetAll within 25s; the service may hang")
		assert.Contains(t, out, "opdbus recover")
		assert.Contains(t, h.must(6, "recover"), "org.freedesktop.hostname1 did not answer")
		h.Do("systemctl", "kill", "--signal=CONT", "systemd-hostnamed")
		h.must(0, "recover")
		assert.Equal(t, before, host(h))
	})
	t.Run("a package system that apt has locked is an error that says so, and what was changed is taken back", func(t *testing.T) {
		h := all.within(t)
		before := host(h)
		h.config(fmt.Sprintf(first, "") + `
plugin "packagekit" {
  dependencies = ["plugin.systemd"]
  package "opdbus-test-b" {}
}
`)
		h.must(0, "release")
		h.Do("sh", "-c", "touch /run/opdbus-test-slow; systemd-run --quiet --unit=apt apt-get install -qq -y opdbus-test-slow\n"+settingUp)
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, "the package system is locked: ")
		h.Do("sh", "-c", `rm /run/opdbus-test-slow; while systemctl is-active --quiet apt; do sleep 0.1; done; apt-get purge -qq -y opdbus-test-slow`)
		assert.Equal(t, before, host(h))
	})
}
