package live_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// together is a configuration with something of each provider of live state, a node each: a host as people have it.
const together = both + `
plugin "login1" {
  linger "alice" { enabled = true }
  linger "bob" { enabled = false }
  session "none-of-alice" { user = "alice" }
  session "none-of-root" { user = "root" }
  settings "50-opdbus" { values = { IdleActionSec = "15min" } }
}
plugin "dnsresolver" {
  resolver "global" {
    servers = ["192.0.2.2", "192.0.2.1"]
    search  = ["corp.example"]
  }
  link "v0" {
    servers = ["192.0.2.3:5353"]
    domains = ["~lab.example"]
  }
}
plugin "packagekit" {
  package "opdbus-test-a" { version = "1.1" }
  package "opdbus-test-b" {}
  package "opdbus-test-conf" { ensure = "removed" }
}
plugin "dbus" {
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "All of it"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
}
`

// TestTogether applies all of it, changes each object by hand with the tools of its service, has drift name exactly it and apply mend it, and
// rolls all of it back.
func TestTogether(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Put("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n", 0o644)
	h.units(map[string]string{"t-both.service": running, "t-masked.service": running, "t-off.service": running})
	h.Do("systemctl", "enable", "--now", "t-off.service")
	h.Do("sh", "-c", `useradd --create-home alice; useradd --create-home bob; loginctl enable-linger bob
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
until resolvectl dns v0 192.0.2.77; do sleep 0.1; done
apt-get install -qq -y opdbus-test-a=1.0 opdbus-test-conf
hostnamectl set-hostname --pretty "As it was"`)
	host := func() string {
		return h.state() + h.logind() + h.resolver() + h.packages() + h.Do("hostnamectl", "--pretty")
	}
	before := host()
	alices, endAlices := h.Session("alice")
	defer endAlices()
	bobs, endBobs := h.Session("bob")
	defer endBobs()
	h.config(together)
	h.must(2, "plan", "--detailed-exitcode")
	require.Equal(t, before, host(), "a plan changes nothing")

	// A rule is about root's sessions, and opdbus runs in one of these.
	own := h.Do("systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--property=PAMName=login", "--property=User=root",
		"--setenv=XDG_SESSION_CLASS=user", "--setenv=XDG_SESSION_TYPE=tty", "--", "sh", "-c",
		"opdbus --chdir /root/config apply --auto-approve && loginctl show-session `printenv XDG_SESSION_ID` --property=Name --property=State")
	assert.Contains(t, own, "Name=root\nState=active\n")

	after := host()
	assert.Equal(t, "active enabled 5", h.show("t-both.service", "ActiveState", "UnitFileState", "Nice"))
	assert.Equal(t, "masked", h.show("t-masked.service", "LoadState"))
	assert.Equal(t, "inactive disabled", h.show("t-off.service", "ActiveState", "UnitFileState"))
	assert.Equal(t, "active enabled", h.show("t-own.service", "ActiveState", "UnitFileState"))
	assert.Equal(t, "active enabled", h.show("t-job.timer", "ActiveState", "UnitFileState"))
	assert.Equal(t, "Linger=yes\n", h.Do("loginctl", "show-user", "alice", "--property=Linger"))
	sessions := ids(h.Do("loginctl", "list-sessions", "--no-legend"))
	assert.NotContains(t, sessions, alices)
	assert.Contains(t, sessions, bobs)
	assert.Contains(t, h.Do("resolvectl", "dns"), "Global: 192.0.2.2 192.0.2.1\n")
	assert.Contains(t, h.Do("resolvectl", "dns"), "(v0): 192.0.2.3:5353\n")
	assert.Equal(t, "ii opdbus-test-a 1.1\nii opdbus-test-b 1.0\nii opdbus-test-c 1.0\nrc opdbus-test-conf 1.0\nopdbus-test-c\n", h.packages())
	assert.Equal(t, "All of it\n", h.Do("hostnamectl", "--pretty"))
	assert.Contains(t, h.must(0, "plan", "--detailed-exitcode"), "No changes.")
	assert.Contains(t, h.must(0, "drift"), "No drift")
	h.must(0, "verify")

	for _, by := range []struct{ hand, object string }{
		{"systemctl stop t-both.service", `systemd.unit["t-both.service"]`},
		{"systemctl unmask t-masked.service", `systemd.unit["t-masked.service"]`},
		{"systemctl enable t-off.service", `systemd.unit["t-off.service"]`},
		{"echo '#' >> /etc/systemd/system/t-own.service; systemctl daemon-reload", `systemd.unit["t-own.service"]`},
		{"rm /etc/systemd/system/t-both.service.d/10-nice.conf; systemctl daemon-reload", `systemd.drop_in["t-both.service/10-nice.conf"]`},
		{"systemctl stop t-job.timer", `systemd.timer["t-job"]`},
		{"loginctl disable-linger alice", `login1.linger["alice"]`},
		{"loginctl enable-linger bob", `login1.linger["bob"]`},
		{"sed -i s/15min/1min/ /etc/systemd/logind.conf.d/50-opdbus.conf", `login1.settings["50-opdbus"]`},
		{"resolvectl revert v0", `dnsresolver.link["v0"]`},
		{"sed -i s/192.0.2.2/192.0.2.9/ /etc/systemd/resolved.conf.d/50-opdbus.conf; systemctl restart systemd-resolved", `dnsresolver.resolver["global"]`},
		{"apt-get install -qq -y --allow-downgrades opdbus-test-a=1.0", `packagekit.package["opdbus-test-a"]`},
		{"apt-get remove -qq -y opdbus-test-b", `packagekit.package["opdbus-test-b"]`},
		{"apt-get install -qq -y opdbus-test-conf", `packagekit.package["opdbus-test-conf"]`},
		{"hostnamectl set-hostname --pretty Mine", `dbus.property["pretty"]`},
	} {
		h.Do("sh", "-c", by.hand)
		drift := h.must(2, "drift")
		assert.Contains(t, drift, "plugin."+by.object, by.hand)
		assert.Equal(t, 1, strings.Count(drift, "plugin."), "%s: %s", by.hand, drift)
		if strings.HasPrefix(by.object, "packagekit.") || strings.Contains(by.hand, "systemctl enable") {
			assert.Contains(t, drift, "since 20", by.hand)
		}
		h.must(0, "apply", "--auto-approve")
		assert.Contains(t, h.must(0, "drift"), "No drift", by.hand)
	}
	again, endAgain := h.Session("alice")
	defer endAgain()
	drift := h.must(2, "drift")
	assert.Contains(t, drift, `plugin.login1.session["none-of-alice"]`)
	assert.Equal(t, 1, strings.Count(drift, "plugin."), drift)
	h.must(0, "apply", "--auto-approve")
	assert.NotContains(t, ids(h.Do("loginctl", "list-sessions", "--no-legend")), again)
	assert.Equal(t, after, host())

	h.must(0, "rollback", "--all", "--auto-approve")

	assert.Equal(t, before, host())
	assert.Contains(t, ids(h.Do("loginctl", "list-sessions", "--no-legend")), bobs)

	t.Run("the example applies, restarts what reads a file that changes, and is taken back", func(t *testing.T) {
		h := h.within(t)
		for _, name := range []string{"main.hcl", "hello.service"} {
			h.Install("../../examples/live/"+name, "/root/config/"+name)
		}
		h.Do("sed", "-i", "s/htop/opdbus-test-b/", "/root/config/main.hcl") // the machine's repository has no other packages
		h.must(0, "release")
		h.must(0, "apply", "--auto-approve")
		assert.Contains(t, h.must(0, "plan", "--detailed-exitcode"), "No changes.")
		assert.Contains(t, h.Do("journalctl", "--boot", "--unit=hello.service"), "]: hello\n")
		h.Do("sed", "-i", "s/GREETING=hello/GREETING=howdy/", "/root/config/main.hcl")
		assert.Regexp(t, `> unit\["hello.service"\]`, h.must(2, "plan", "--detailed-exitcode"))
		h.must(0, "apply", "--auto-approve")
		assert.Contains(t, h.Do("journalctl", "--boot", "--unit=hello.service"), "]: howdy\n")
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, before, host())
	})
}
