package live_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	running = "[Service]\nType=exec\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
	both    = `
plugin "systemd" {
  unit "t-both.service" {
    enabled = true
    active  = true
  }
  unit "t-masked.service" { masked = true }
  unit "t-off.service" {
    enabled = false
    active  = false
  }
  unit "t-own.service" {
    content = <<-EOT
      [Service]
      Type=exec
      ExecStart=sleep infinity
      [Install]
      WantedBy=multi-user.target
    EOT
    enabled    = true
    active     = true
    properties = { CPUWeight = "50" }
  }
  drop_in "t-both.service/10-nice.conf" { content = "[Service]\nNice=5\n" }
  timer "t-job" {
    on_calendar = "*-*-* 03:00:00"
    command     = ["/bin/sh", "-c", "echo a$UNSET 100% \"x\" > /run/ran"]
    persistent  = true
  }
}
`
)

func TestSystemd(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.units(map[string]string{
		"t-both.service": running, "t-masked.service": running, "t-off.service": running,
		"t-fails.service":   "[Service]\nType=exec\nExecStart=sh -c 'echo out of luck; exit 3'\n[Install]\nWantedBy=multi-user.target\n",
		"t-dies.service":    "[Service]\nType=oneshot\nExecStart=sh -c 'echo out of luck; exit 3'\n",
		"t-skipped.service": "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=exec\nExecStart=sleep infinity\n",
		"t-slow.service":    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sleep 20\n",
		"t-late.service":    "[Service]\nType=oneshot\nTimeoutStartSec=2\nExecStart=sleep 20\n",
		"t-once.service":    "[Service]\nType=oneshot\nExecStart=true\n",
		"t-static.service":  "[Service]\nType=exec\nExecStart=sleep infinity\n",
	})
	all.Do("systemctl", "enable", "--now", "t-off.service")

	t.Run("units, drop-ins and timers become as they are declared, and are put back", func(t *testing.T) {
		h := all.within(t)
		before := h.state()
		h.config(both)
		plan := h.must(2, "plan", "--detailed-exitcode")
		assert.Contains(t, plan, `~ unit["t-both.service"]`)
		assert.Contains(t, plan, `+ unit["t-own.service"]`)
		assert.Contains(t, plan, "starts t-both.service")
		assert.Equal(t, before, h.state(), "a plan changes nothing")

		h.must(0, "apply", "--auto-approve")

		assert.Equal(t, "active enabled 5", h.show("t-both.service", "ActiveState", "UnitFileState", "Nice"))
		assert.Equal(t, "masked", h.show("t-masked.service", "LoadState"))
		assert.Equal(t, "inactive disabled", h.show("t-off.service", "ActiveState", "UnitFileState"))
		assert.Equal(t, "active enabled 50", h.show("t-own.service", "ActiveState", "UnitFileState", "CPUWeight"))
		assert.Equal(t, "active enabled yes", h.show("t-job.timer", "ActiveState", "UnitFileState", "Persistent"))
		h.Do("systemctl", "start", "t-job.service")
		assert.Equal(t, "a 100% x\n", h.Get("/run/ran"))
		assert.Contains(t, h.must(0, "plan"), "No changes.")
		assert.Contains(t, h.must(0, "drift"), "No drift")
		h.must(0, "verify")
		assert.Regexp(t, `(?m)^unit +t-both\.service +enabled true, active true, masked false$`, h.must(0, "query", "--plugin", "systemd"))
		assert.Regexp(t, `(?m)^drop_in +t-both\.service/10-nice\.conf +`, h.must(0, "query", "--plugin", "systemd"))
		after := h.state()

		for _, by := range []struct{ hand, object string }{
			{"systemctl disable t-both.service", `unit["t-both.service"]`},
			{"systemctl start t-off.service", `unit["t-off.service"]`},
			{"systemctl set-property --runtime t-own.service CPUWeight=70", `unit["t-own.service"]`},
			{"sed -i s/03/04/ /etc/systemd/system/t-job.timer; systemctl daemon-reload", `timer["t-job"]`},
		} {
			h.Do("sh", "-c", by.hand)
			drift := h.must(2, "drift")
			assert.Contains(t, drift, by.object, by.hand)
			assert.Equal(t, 1, strings.Count(drift, "plugin.systemd."), "%s: %s", by.hand, drift)
			h.must(0, "apply", "--auto-approve")
			assert.Contains(t, h.must(0, "drift"), "No drift", by.hand)
		}
		assert.Equal(t, after, h.state())

		h.must(0, "rollback", "--all", "--auto-approve")
		assert.Equal(t, before, h.state())
		assert.Equal(t, "active enabled", h.show("t-off.service", "ActiveState", "UnitFileState"))

		h.must(0, "undo", "--auto-approve")
		assert.Equal(t, after, h.state())
		h.must(0, "release")
		h.must(0, "destroy", "--auto-approve")
		assert.Equal(t, before, h.state(), "what is no longer managed is as it was found")
	})

	t.Run("what cannot be started is reported as what it is, and taken back", func(t *testing.T) {
		h := all.within(t)
		before := h.state()
		for unit, says := range map[string]string{
			"t-fails.service":   "status 3",
			"t-dies.service":    "cannot start t-dies.service: its process ended with status 3; the last lines of its journal:",
			"t-skipped.service": "t-skipped.service was not started: its condition ConditionPathExists=/nowhere does not hold",
			"t-late.service":    "cannot start t-late.service: ",
			"t-once.service":    "t-once.service ran and is inactive again, as it is of type oneshot",
			"t-none.service":    "t-none.service",
		} {
			h.config(fmt.Sprintf("plugin \"systemd\" {\n  unit %q { active = true }\n}\n", unit))
			out := h.must(5, "apply", "--auto-approve")
			assert.Contains(t, out, says, unit)
			if unit == "t-dies.service" {
				assert.Contains(t, out, "out of luck")
			}
			assert.Equal(t, before, h.state(), "%s: %s", unit, out)
		}
		h.config("plugin \"systemd\" {\n  unit \"t-static.service\" { enabled = true }\n}\n")
		refused := h.must(1, "plan")
		assert.Contains(t, refused, "t-static.service cannot be enabled or disabled: systemd says that it is static")
		assert.Contains(t, refused, "on main.hcl line 2, in plugin \"systemd\":")
		h.config("plugin \"systemd\" {\n  unit \"nginx\" { active = true }\n}\n")
		assert.Contains(t, h.must(1, "plan"), "nginx is no name of a unit")
	})

	t.Run("one that takes its time is waited for", func(t *testing.T) {
		h := all.within(t)
		h.config("plugin \"systemd\" {\n  unit \"t-slow.service\" { active = true }\n}\n")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "active", h.show("t-slow.service", "ActiveState"))
		h.must(0, "destroy", "--auto-approve")
	})

	t.Run("the third of five fails: all are as they were before", func(t *testing.T) {
		h := all.within(t)
		before := h.state()
		h.config(`
plugin "systemd" {
  unit "t-both.service" {
    enabled = true
    active = true
  }
  unit "t-own.service" {
    content = "[Service]\nExecStart=sleep infinity\n"
    active  = true
  }
  unit "t-dies.service" { active = true }
  unit "t-static.service" { active = true }
  unit "t-masked.service" { masked = true }
}
`)
		h.must(5, "apply", "--auto-approve")
		assert.Equal(t, before, h.state())
	})

	t.Run("a run that a power cut ended is taken back when the bus is there", func(t *testing.T) {
		h := all.within(t)
		before := h.state()
		h.config(`
plugin "systemd" {
  unit "t-own.service" {
    content = "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    enabled = true
    active  = true
  }
  health "never" {
    command = ["sh", "-c", "touch /run/reached; sleep 600"]
    timeout = "1000s"
  }
}
`)
		h.Do("sync")
		h.Do("systemd-run", "--unit=apply", "opdbus", "--chdir=/root/config", "apply", "--auto-approve")
		h.Do("sh", "-c", "until test -e /run/reached; do sleep 0.1; done")
		assert.NotEqual(t, before, h.state())

		h.Cut()

		h.Do("sh", "-c", "for i in $(seq 600); do systemctl is-active opdbus-recover.service && break; sleep 0.1; done")
		assert.Equal(t, before, h.state())
		assert.Equal(t, "running\n", h.Do("systemctl", "is-system-running", "--wait"))
	})

	t.Run("what a unit refers to changes, and it is restarted once", func(t *testing.T) {
		h := all.within(t)
		configure := func(version, health string) {
			h.Put("/root/config/src/app.conf", "version "+version+"\n", 0o644)
			h.config(`
stage "app" {
  source = "src"
  file "app.conf" {
    target = "/etc/app.conf"
    type   = "copy"
  }
}
plugin "systemd" {
  unit "t-app.service" {
    content    = "[Service]\nType=exec\nExecStart=sh -c 'cp /etc/app.conf /run/app.conf; echo >> /run/starts; exec sleep infinity'\n"
    active     = true
    restart_on = [stage.app]
  }
  health "it" { command = ["sh", "-c", "` + health + `"] }
}
`)
		}
		starts := func() string { return strings.TrimSpace(h.Do("sh", "-c", "wc -l < /run/starts; cat /run/app.conf")) }
		configure("1", "true")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "1\nversion 1", starts())

		configure("2", "true")
		plan := h.must(0, "plan")
		assert.Contains(t, plan, `> unit["t-app.service"]`)
		assert.Contains(t, plan, "restarts t-app.service")
		assert.Contains(t, plan, "; 1 restart;")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, "2\nversion 2", starts())
		assert.Contains(t, h.must(0, "plan"), "No changes.")

		configure("3", "false") // fails once it has been restarted
		h.must(5, "apply", "--auto-approve")
		assert.Equal(t, "4\nversion 2", starts(), "it runs with what was there before")

		out := h.must(0, "rollback", "--auto-approve", "--cascade", "stage.app")
		assert.Contains(t, out, `restarts afterwards`)
		assert.Equal(t, "5\nversion 1", starts())

		h.must(0, "release")
		configure("4", "false")
		h.must(5, "apply", "--auto-approve", "--on-failure", "node") // the file stays
		configure("4", "true")
		assert.Contains(t, h.must(0, "plan"), `> unit["t-app.service"]`, "the restart is still pending")
		h.must(0, "apply", "--auto-approve")
		assert.Contains(t, starts(), "version 4")
		assert.Contains(t, h.must(0, "plan"), "No changes.")
		h.must(0, "destroy", "--auto-approve")
		require.Equal(t, "inactive", h.show("t-app.service", "ActiveState"))
	})
}
