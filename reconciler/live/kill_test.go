package live_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

func TestMain(m *testing.M) {
	faulttest.Reexec()
	os.Exit(m.Run())
}

// killed is a node with all that a unit can have, and one that comes after it.
const killed = `
plugin "systemd" {
  unit "t-new.service" {
    content = "[Service]\nType=exec\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    enabled = true
    active  = true
  }
  unit "t-there.service" {
    enabled = false
    active  = false
    masked  = true
  }
  drop_in "t-new.service/10.conf" { content = "[Service]\nNice=1\n" }
}
`

// packages is a node of packagekit, one package that comes with another and one that goes.
const packages = `
plugin "packagekit" {
  package "opdbus-test-b" {}
  package "opdbus-test-conf" { ensure = "removed" }
}
`

// others is a node of each provider besides systemd that is quick.
const others = `
plugin "login1" {
  linger "alice" { enabled = true }
  settings "50-opdbus" { values = { IdleActionSec = "15min" } }
}
plugin "dnsresolver" {
  resolver "global" { servers = ["192.0.2.2"] }
  link "v0" { servers = ["192.0.2.3"] }
}
plugin "dbus" {
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "Killed"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
}
`

// TestKill kills an apply that writes a unit file, enables and starts the unit and masks another, before each of its system calls that
// change something or ask something of the bus, and recovers: units, their files and the ledger are as before or as after. Every sixth
// point, unless OPDBUS_TEST_STRIDE or OPDBUS_TEST_FAULTS=all says otherwise.
func TestKill(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.units(map[string]string{"t-there.service": running})
	h.Do("systemctl", "enable", "--now", "t-there.service")
	h.killEach(killed, 6, h.state)
}

// TestKillOthers is TestKill for the other providers: those that are quick, a node each, at every twentieth point, and packages at a few. While
// PackageKit is at work opdbus calls nothing; for that there is TestPackageKit.
func TestKillOthers(t *testing.T) {
	t.Parallel()
	all := newHost(t)
	all.Put("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n", 0o644)
	all.Do("sh", "-c", `apt-get install -qq -y opdbus-test-conf; useradd alice; hostnamectl set-hostname --pretty "As it was"
ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; until resolvectl dns v0 192.0.2.77; do sleep 0.1; done`)
	t.Run("logind, resolved and a property", func(t *testing.T) {
		h := all.within(t)
		h.killEach(others, 20, func() string { return h.logind() + h.resolver() + h.Do("hostnamectl", "--pretty") })
	})
	t.Run("packages", func(t *testing.T) {
		h := all.within(t)
		h.killEach(packages, 26, h.packages)
	})
}

// killEach kills an apply of a configuration before one of each step of its calls, the middle one, and recovers. live tells what it changes.
func (h *host) killEach(config string, step int, live func() string) {
	t := h.t
	t.Helper()
	h.config(config)
	apply := func() *exec.Cmd {
		return h.Traceable(t.Context(), "opdbus", "--chdir=/root/config", "apply", "--auto-approve", "--parallelism=1")
	}
	options := func(killAt int) faulttest.Options {
		return faulttest.Options{After: faulttest.Called("flock", "/lock", 1), KillAt: killAt}
	}
	state := func() string {
		return live() + h.Do("sh", "-c", `ls -A /etc/op-dbus/plugins /var/lib/op-dbus/staging
sed 's/.*"nodes"//; s/"run":[0-9]*//' /var/lib/op-dbus/state/ledger.json | grep -v '^:{}}$'; true`)
	}

	h.must(0, "apply", "--auto-approve")
	h.must(0, "rollback", "--all", "--auto-approve") // what a store has once there was a run is there
	h.must(0, "release")
	before := state()
	whole := faulttest.Run(t, apply(), options(0))
	require.True(t, whole.State.Success())
	after := state()
	require.NotEqual(t, before, after)
	h.must(0, "undo", "--auto-approve")
	h.must(0, "release")
	require.Equal(t, before, state())

	counts := map[string]int{}
	if stride := os.Getenv("OPDBUS_TEST_STRIDE"); stride != "" {
		var err error
		step, err = strconv.Atoi(stride)
		require.NoError(t, err)
	}
	if os.Getenv("OPDBUS_TEST_FAULTS") == "all" {
		step = 1
	}
	for n := (step + 1) / 2; n <= whole.Count; n += step {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var said strings.Builder
			cmd := apply()
			cmd.Stdout, cmd.Stderr = &said, &said
			r := faulttest.Run(t, cmd, options(n))
			if !r.Hit {
				require.True(t, r.State.Success(), "%s", &said)
			}
			said.WriteString(h.must(0, "recover"))
			switch now := state(); now {
			case before:
				counts["before"]++
			case after:
				counts["after"]++
				h.must(0, "undo", "--auto-approve")
			default:
				require.Equal(t, before, now, "in between: %s", &said)
			}
			h.must(0, "release")
			require.Equal(t, before, state())
		})
	}
	t.Logf("%d calls, every %dth: %v", whole.Count, step, counts)
	assert.Positive(t, counts["before"])
}
