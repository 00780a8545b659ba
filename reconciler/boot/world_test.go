package boot_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
)

// A host is a machine that opdbus looks after.
type host struct {
	*machine.Machine
	t *testing.T
}

// newHost boots a machine, has opdbus in it make its store, and the network be brought up at boot.
func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{machine.New(t), t}
	h.Opdbus()
	h.Do("opdbus", "init")
	h.Do("systemctl", "enable", "systemd-networkd.service")
	return h
}

// configure writes a configuration of two nodes, whose files tell the version. The second is checked by a command.
func (h *host) configure(version, check string) {
	h.t.Helper()
	h.Put("/root/config/main.hcl", fmt.Sprintf(`
stage "base" {
  version = %[1]q
  source  = "files"
  file "tool" {
    target = "/usr/local/bin/tool"
  }
}
stage "app" {
  version      = %[1]q
  dependencies = ["base"]
  file "conf" {
    target  = "/etc/app/app.conf"
    type    = "copy"
    content = "version %[1]s\n"
  }
  file "network" {
    target  = "/etc/systemd/network/app%[1]s.network"
    type    = "copy"
    content = "[Match]\nName=app%[1]s\n"
  }
  verify "check" {
    command = ["/bin/sh", "-c", %[2]q]
    timeout = "10m"
  }
}
`, version, check), 0o644)
	h.Put("/root/config/files/tool", "#!/bin/sh\necho "+version+"\n", 0o755)
}

// state is everything on the host that the configuration is about, and what opdbus owns of it.
func (h *host) state() string {
	h.t.Helper()
	return h.Do("sh", "-c", `cd / && find etc/app etc/systemd/network usr/local/bin var/lib/op-dbus/staging \
		-path '*/staging/snapshots/*' -prune -o -type f -printf '%p %m %u ' -exec sha256sum {} \; -o -printf '%p %m %u %l\n' | sort && opdbus state list`)
}

// outcome is how the last run ended, after its number.
func (h *host) outcome() string {
	h.t.Helper()
	var runs []struct {
		Run     int
		Outcome string
	}
	require.NoError(h.t, json.Unmarshal([]byte(h.Do("opdbus", "history", "--json")), &runs))
	require.NotEmpty(h.t, runs)
	return fmt.Sprint(runs[0].Run, " ", runs[0].Outcome)
}

// eventually waits for a command to succeed.
func (h *host) eventually(command string) {
	h.t.Helper()
	out := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		code, said := h.Run(h.t.Context(), "sh", "-c", command)
		if code == 0 {
			return
		}
		out = said
	}
	h.t.Fatalf("%s does not come to succeed: %s", command, out)
}

// property is one of a unit.
func (h *host) property(unit, name string) string {
	h.t.Helper()
	return strings.TrimSpace(h.Do("systemctl", "show", "--property="+name, "--value", unit))
}

// when is a time of a unit in this boot.
func (h *host) when(unit, event string) time.Duration {
	h.t.Helper()
	us, err := strconv.ParseInt(h.property(unit, event+"TimestampMonotonic"), 10, 64)
	require.NoError(h.t, err)
	require.Positive(h.t, us, "%s: %s did not happen", unit, event)
	return time.Duration(us) * time.Microsecond
}
