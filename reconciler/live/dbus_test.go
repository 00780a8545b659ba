package live_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const dbusConfig = `
plugin "dbus" {
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "PRETTY"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
  property "level" {
    service   = "org.freedesktop.systemd1"
    path      = "/org/freedesktop/systemd1"
    interface = "org.freedesktop.systemd1.Manager"
    property  = "LogLevel"
    value     = "notice"
  }
}
`

func TestDBus(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Do("hostnamectl", "--pretty", "hostname", "Before")
	config := func(pretty string) { h.config(strings.ReplaceAll(dbusConfig, "PRETTY", pretty)) }
	pretty := func() string { return strings.TrimSpace(h.Do("hostnamectl", "--pretty")) }
	config("First")

	t.Run("properties of a service are set, and a second plan is empty", func(t *testing.T) {
		h := h.within(t)
		out := h.must(0, "apply", "--auto-approve")
		assert.Contains(t, out, `property["pretty"]`)
		assert.Equal(t, "First", pretty())
		assert.Equal(t, "notice\n", h.Do("systemctl", "log-level"))
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "verify")
	})
	t.Run("what somebody changes by hand is drift, and is mended", func(t *testing.T) {
		h := h.within(t)
		h.Do("hostnamectl", "--pretty", "hostname", "By hand")
		code, out := h.opdbus("drift")
		assert.NotZero(t, code)
		assert.Contains(t, out, `property["pretty"]`)
		assert.NotContains(t, out, `property["level"]`)
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "First", pretty())
	})
	t.Run("a rollback gives back the former value, and destroying the first", func(t *testing.T) {
		h := h.within(t)
		config("Second")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "Second", pretty())
		h.must(0, "rollback", "plugin.dbus", "--auto-approve")
		assert.Equal(t, "First", pretty())
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, "Before", pretty())
		assert.Equal(t, "info\n", h.Do("systemctl", "log-level"))
	})
	t.Run("a health check asks for a property", func(t *testing.T) {
		h := h.within(t)
		healthy := func(service, property, equals string) {
			h.config(fmt.Sprintf(`plugin "dbus" {
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "Checked"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
  health "named" {
    retries = 1
    dbus_property = {
      service   = %q
      path      = "/org/freedesktop/hostname1"
      interface = "org.freedesktop.hostname1"
      property  = %q
      equals    = %q
    }
  }
}
`, service, property, equals))
		}
		const hostname = "org.freedesktop.hostname1"
		healthy(hostname, "PrettyHostname", "Other")
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, `org.freedesktop.hostname1.PrettyHostname of org.freedesktop.hostname1 at /org/freedesktop/hostname1 is "Checked", and "Other" is wanted`)
		assert.Equal(t, "Before", pretty())
		healthy(hostname, "None", "Other")
		assert.Contains(t, h.must(5, "apply", "--auto-approve"), "no property None")
		healthy("org.example.Absent", "PrettyHostname", "Other")
		assert.Contains(t, h.must(5, "apply", "--auto-approve"), "nobody offers org.example.Absent on the bus")
		healthy(hostname, "PrettyHostname", "Checked")
		h.must(0, "release")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "Checked", pretty())
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, "Before", pretty())
	})
	t.Run("a value of the wrong type is told by the plan", func(t *testing.T) {
		h := h.within(t)
		h.config(strings.ReplaceAll(dbusConfig, `"PRETTY"`, "5"))
		code, out := h.opdbus("plan")
		assert.Equal(t, 1, code)
		assert.Contains(t, out, "wanted is s (a string), given is a number")
	})
	t.Run("a call is made once, and said to be for good", func(t *testing.T) {
		h := h.within(t)
		h.config(`plugin "dbus" {
  call "start" {
    service   = "org.freedesktop.systemd1"
    path      = "/org/freedesktop/systemd1"
    interface = "org.freedesktop.systemd1.Manager"
    method    = "StartUnit"
    args      = ["systemd-hostnamed.service", "replace"]
    unless = {
      path      = "/org/freedesktop/systemd1/unit/systemd_2dhostnamed_2eservice"
      interface = "org.freedesktop.systemd1.Unit"
      property  = "ActiveState"
      equals    = "active"
    }
  }
}
`)
		h.Do("systemctl", "stop", "systemd-hostnamed")
		out := h.must(0, "plan")
		assert.Contains(t, out, "what a call of StartUnit does cannot be taken back")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "active", h.show("systemd-hostnamed", "ActiveState"))
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, "active", h.show("systemd-hostnamed", "ActiveState"))
	})
	t.Run("services are discovered and registered, and none is started", func(t *testing.T) {
		h := h.within(t)
		for _, name := range []string{"packagekit", "login1", "dnsresolver", "systemd", "dbus"} {
			h.Put("/etc/op-dbus/plugins/"+name+".toml", "[plugin]\nname = \""+name+"\"\nversion = \"1\"\nprovider = \""+name+"\"\nstage = \"\"\n", 0o644)
		}
		h.Do("systemctl", "stop", "systemd-hostnamed", "packagekit")
		running := func() string {
			return h.Do("sh", "-c", "systemctl list-units --plain --no-legend --type=service --state=active,activating | grep -v ^run-u")
		}
		before := running()
		out := h.must(0, "query", "--plugin", "all")
		assert.Regexp(t, `(?m)^packagekit .*org.freedesktop.PackageKit does not run$`, out)
		assert.Regexp(t, `(?m)^login1 .* \d+ objects?$`, out)
		assert.Contains(t, h.must(0, "query", "--plugin", "packagekit"), "org.freedesktop.PackageKit does not run; --activate starts it.")
		assert.Contains(t, h.must(0, "query", "--plugin", "packagekit", "--json"), `"not_running": "org.freedesktop.PackageKit"`)
		const file = "/usr/share/dbus-1/system-services/org.freedesktop.PackageKit.service"
		h.Do("sh", "-c", "mv "+file+" /root/PackageKit.service && systemctl reload dbus")
		assert.Contains(t, h.must(0, "query", "--plugin", "packagekit"), "org.freedesktop.PackageKit does not run, and the bus knows nothing that starts it")
		h.Do("sh", "-c", "mv /root/PackageKit.service "+file+" && systemctl reload dbus")
		out = h.must(0, "plugin", "discover", "--write")
		assert.Equal(t, before, running(), "what is looked at starts nothing")
		assert.Contains(t, h.must(0, "query", "--plugin", "packagekit", "--activate"), "apt")
		h.Do("sh", "-c", "cd /etc/op-dbus/plugins && rm packagekit.toml login1.toml dnsresolver.toml systemd.toml dbus.toml")
		assert.Regexp(t, `(?m)^org.freedesktop.hostname1 +activatable +- +- +-$`, out)
		assert.Regexp(t, `(?m)^org.freedesktop.systemd1 +running, activatable +:\d.\d+ +\d{2,} +\d+$`, out)
		assert.Regexp(t, `Registered \d+ services in /etc/op-dbus/plugins`, out)
		assert.Equal(t, "inactive", h.show("systemd-hostnamed", "ActiveState"))
		assert.Contains(t, h.Get("/etc/op-dbus/plugins/org.freedesktop.hostname1.toml"), "provider = \"dbus\"\n")
		out = h.must(0, "plugin", "discover", "--write", "org.freedesktop.hostname1")
		assert.Contains(t, out, "Registered 0 services")
		assert.Contains(t, out, "Left org.freedesktop.hostname1: it is registered already")

		out = h.must(0, "query")
		assert.Regexp(t, `(?m)^org.freedesktop.hostname1 +dbus +- +activatable$`, out)
		assert.Contains(t, h.must(0, "query", "--plugin", "org.freedesktop.hostname1"), "does not run; --activate starts it")
		assert.Equal(t, "inactive", h.show("systemd-hostnamed", "ActiveState"))
		out = h.must(0, "query", "--plugin", "org.freedesktop.hostname1", "--activate")
		assert.Regexp(t, `(?m)^/org/freedesktop/hostname1 +org.freedesktop.hostname1 +PrettyHostname +s +read +"Before"$`, out)
		out = h.must(0, "query", "--plugin", "org.freedesktop.login1", "--json")
		assert.Contains(t, out, `"org.freedesktop.login1.Manager"`)
		require.Contains(t, out, `"service": {`)
		h.must(0, "fsck")
		h.config("")
		h.must(0, "plan", "--detailed-exitcode")
	})
}
