package live_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
)

// A host is a machine that opdbus looks after, with a configuration in /root/config.
type host struct {
	*machine.Machine
	t *testing.T
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{machine.New(t), t}
	h.Opdbus()
	h.Do("opdbus", "init")
	return h
}

// within is the host for a subtest.
func (h *host) within(t *testing.T) *host { return &host{h.Machine, t} }

func (h *host) config(text string) {
	h.t.Helper()
	h.Put("/root/config/main.hcl", text, 0o644)
}

// opdbus runs it on the configuration.
func (h *host) opdbus(args ...string) (code int, out string) {
	h.t.Helper()
	return h.Run(h.t.Context(), append([]string{"opdbus", "--chdir", "/root/config"}, args...)...)
}

// must runs it and wants an exit code.
func (h *host) must(code int, args ...string) string {
	h.t.Helper()
	got, out := h.opdbus(args...)
	require.Equal(h.t, code, got, "opdbus %v: %s", args, out)
	return out
}

// units writes unit files as a package would, and has systemd read them.
func (h *host) units(files map[string]string) {
	h.t.Helper()
	for name, content := range files {
		h.Put("/usr/lib/systemd/system/"+name, content, 0o644)
	}
	h.Do("systemctl", "daemon-reload")
}

// show is properties of a unit, joined by spaces.
func (h *host) show(unit string, properties ...string) string {
	h.t.Helper()
	var values []string
	for _, p := range properties {
		values = append(values, strings.TrimSpace(h.Do("systemctl", "show", "--value", "--property="+p, unit)))
	}
	return strings.Join(values, " ")
}

// state is what there is of units: their files and links, and what is enabled, masked, running and failed.
func (h *host) state() string {
	h.t.Helper()
	return h.Do("sh", "-c", `cd /etc/systemd/system && find . -printf '%p %l\n' | sort && find . -type f | sort | xargs tail -n +1
systemctl list-units --all --plain --no-legend 't-*' | awk '{print $1, $2, $3, $4}' | sort
systemctl list-unit-files --plain --no-legend 't-*' | sort`)
}
