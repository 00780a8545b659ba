package live_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// logind is what there is of lingering users and of logind's settings.
func (h *host) logind() string {
	h.t.Helper()
	return h.Do("sh", "-c", `ls /var/lib/systemd/linger; find /etc/systemd/logind.conf.d -type f 2>/dev/null | xargs -r tail -n +1
busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager KillUserProcesses IdleActionUSec`)
}

func TestLogin1(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.Do("sh", "-c", "useradd --create-home alice; useradd --create-home bob; loginctl enable-linger bob")

	t.Run("users linger, settings are in force, sessions end, and all but these is put back", func(t *testing.T) {
		h := all.within(t)
		before := h.logind()
		mine, endMine := h.Session("alice")
		defer endMine()
		other, endOther := h.Session("bob")
		defer endOther()
		h.config(`
plugin "login1" {
  linger "alice" { enabled = true }
  linger "bob" { enabled = false }
  session "none-of-alice" { user = "alice" }
  settings "50-opdbus" {
    values = { KillUserProcesses = "on", IdleActionSec = "15min" }
  }
  inhibit "run" { what = "shutdown:sleep" }
}
`)
		plan := h.must(2, "plan", "--detailed-exitcode")
		assert.Contains(t, plan, `ends session `+mine+` of alice`)
		assert.Contains(t, plan, "a session that has ended cannot be brought back")
		assert.NotContains(t, plan, "ends session "+other)
		assert.Equal(t, before, h.logind(), "a plan changes nothing")

		h.must(0, "apply", "--auto-approve")

		sessions := ids(h.Do("loginctl", "list-sessions", "--no-legend"))
		assert.NotContains(t, sessions, mine)
		assert.Contains(t, sessions, other)
		after := h.logind()
		assert.True(t, strings.HasPrefix(after, "alice\n"), after)
		assert.Contains(t, after, "b true\nt 900000000\n")
		assert.Contains(t, h.must(0, "plan"), "No changes.")
		assert.Contains(t, h.must(0, "drift"), "No drift")
		h.must(0, "verify")

		h.must(0, "rollback", "--all", "--auto-approve")
		assert.Equal(t, before, h.logind())
		assert.Contains(t, ids(h.Do("loginctl", "list-sessions", "--no-legend")), other)
	})

	t.Run("a run that fails after it ended a session is taken back all the same", func(t *testing.T) {
		h := all.within(t)
		before := h.logind()
		_, end := h.Session("alice")
		defer end()
		h.config(`
plugin "login1" {
  linger "alice" { enabled = true }
  session "none-of-alice" { user = "alice" }
  linger "ghost" { enabled = true }
}
`)
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, `cannot set whether ghost lingers: there is no user "ghost" on this host`)
		assert.Contains(t, out, "had changed was taken back")
		assert.Equal(t, before, h.logind())
	})

	t.Run("a rule without a selector is a mistake", func(t *testing.T) {
		h := all.within(t)
		h.config("plugin \"login1\" {\n  session \"all\" {}\n}\n")
		_, out := h.opdbus("plan")
		assert.Contains(t, out, "A session rule without a selector")
	})

	t.Run("what a plan approved beforehand did not name is not ended", func(t *testing.T) {
		h := all.within(t)
		_, endFirst := h.Session("alice")
		h.config("plugin \"login1\" {\n  session \"none-of-alice\" { user = \"alice\" }\n}\n")
		h.must(0, "plan", "--out=/root/plan")
		endFirst()
		later, endLater := h.Session("alice")
		defer endLater()
		code, out := h.opdbus("apply", "/root/plan")
		assert.NotZero(t, code, out)
		assert.Contains(t, ids(h.Do("loginctl", "list-sessions", "--no-legend")), later)
	})

	t.Run("dropping the blocks gives all back", func(t *testing.T) {
		h := all.within(t)
		before := h.logind()
		h.config("plugin \"login1\" {\n  linger \"alice\" { enabled = true }\n  linger \"bob\" { enabled = false }\n  session \"none-of-greeters\" { class = \"greeter\" }\n  settings \"x\" { values = { KillUserProcesses = \"yes\" } }\n}\n")
		h.must(0, "apply", "--auto-approve")
		h.config("plugin \"login1\" {\n}\n")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, before, h.logind())
		assert.Contains(t, h.must(0, "plan"), "No changes.")
	})
}

// ids are the first words of the lines.
func ids(lines string) (found []string) {
	for line := range strings.Lines(lines) {
		found = append(found, strings.Fields(line)[0])
	}
	return found
}
