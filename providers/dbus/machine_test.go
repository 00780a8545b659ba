package dbus

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// TestMachine runs what needs the services of a booted machine.
func TestMachine(t *testing.T) {
	t.Parallel()
	machine.RunTests(t, machine.New(t), "^TestOnMachine")
}

func onMachine(t *testing.T) *world {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	host := state.Host{Store: t.TempDir(), Registry: "/etc/op-dbus/plugins"}
	return &world{t: t, bus: bus, host: host, kinds: Kinds(host, bus)}
}

func do(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return strings.TrimSpace(string(out))
}

func hostname(property, method string, value any) Property {
	const name = "org.freedesktop.hostname1"
	p := Property{Name: "host", Service: name, Path: "/org/freedesktop/hostname1", Interface: name, Property: property, Value: value}
	if method != "" {
		p.SetWith = &SetWith{Method: method, Args: []any{placeholder, false}}
	}
	return p
}

func TestOnMachineContract(t *testing.T) {
	w := onMachine(t)
	require.NoError(t, os.Chmod("/etc/hostname", 0o644)) // as hostnamed has it
	for name, s := range map[string]providertest.Suite{
		"pretty hostname": {A: hostname("PrettyHostname", "SetPrettyHostname", "Rack 5, unit \"7\""), B: hostname("PrettyHostname", "SetPrettyHostname", "Überrechner")},
		"static hostname": {A: hostname("StaticHostname", "SetStaticHostname", "rack5"), B: hostname("StaticHostname", "SetStaticHostname", "rack6.example.org")},
	} {
		t.Run(name, func(t *testing.T) {
			s.Addr, s.Kind, s.Dirs = addrOf(s.A), w.kind(s.A), []string{"/etc"}
			lives, err := w.read(s.A)
			require.NoError(t, err)
			s.Found = lives[0]
			providertest.Run(t, s)
		})
	}
}

func TestOnMachineProperty(t *testing.T) {
	w := onMachine(t)
	t.Run("hostnamectl agrees, and what it changes is read", func(t *testing.T) {
		made := w.make(nil, hostname("PrettyHostname", "SetPrettyHostname", "One"))
		assert.Equal(t, "One", do(t, "hostnamectl", "--pretty"))
		do(t, "hostnamectl", "--pretty", "hostname", "Two")
		lives, err := w.read(made)
		require.NoError(t, err)
		assert.Equal(t, "Two", lives[0].(Property).Value)
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
		assert.Empty(t, do(t, "hostnamectl", "--pretty"))
	})
	t.Run("what the service says of itself is checked", func(t *testing.T) {
		_, err := w.plan(nil, hostname("PrettyHostname", "", "x"))
		require.ErrorContains(t, err, "it can be read only; where a method sets it, set_with names that")
		_, err = w.plan(nil, hostname("PrettyHostnam", "", "x"))
		require.ErrorContains(t, err, `Did you mean "PrettyHostname"?`)
	})
	t.Run("a value that the service refuses is its own words", func(t *testing.T) {
		c, err := w.plan(nil, hostname("StaticHostname", "SetStaticHostname", "not a hostname"))
		require.NoError(t, err)
		require.ErrorContains(t, w.apply(c), "org.freedesktop.hostname1 cannot do SetStaticHostname: Invalid static hostname 'not a hostname'")
	})
	t.Run("a property that can be set itself is", func(t *testing.T) {
		want := Property{Name: "log", Service: "org.freedesktop.systemd1", Path: "/org/freedesktop/systemd1", Interface: "org.freedesktop.systemd1.Manager", Property: "LogLevel", Value: "debug"}
		made := w.make(nil, want)
		assert.Equal(t, "debug", do(t, "systemctl", "log-level"))
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
		assert.Equal(t, "info", do(t, "systemctl", "log-level"))
		want.Property, want.Value = "RuntimeWatchdogUSec", "18446744073709551616"
		_, err := w.plan(nil, want)
		require.ErrorContains(t, err, "wanted is t (a whole number from 0 to 18446744073709551615), given is 18446744073709551616")
	})
	t.Run("a method of systemd is called unless the unit is active", func(t *testing.T) {
		const manager = "org.freedesktop.systemd1"
		do(t, "systemd-run", "--unit=called", "--property=Type=oneshot", "--property=RemainAfterExit=yes", "true")
		do(t, "systemctl", "stop", "called.service")
		do(t, "sh", "-c", "printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >/run/systemd/system/called.service; systemctl daemon-reload")
		call := Call{Name: "start", Service: manager, Path: "/org/freedesktop/systemd1", Interface: manager + ".Manager", Method: "StartUnit", Args: []any{"called.service", "replace"},
			Unless: map[string]any{"path": "/org/freedesktop/systemd1/unit/called_2eservice", "interface": manager + ".Unit", "property": "ActiveState", "equals": "active"}}
		c, err := w.plan(nil, call)
		require.NoError(t, err)
		require.Nil(t, c.Before)
		require.NoError(t, w.apply(c))
		require.Eventually(t, func() bool { lives, err := w.read(call); return err == nil && lives[0] != nil }, 5*time.Second, 20*time.Millisecond)
		assert.Equal(t, "active", do(t, "systemctl", "is-active", "called.service"))
	})
}

func TestOnMachineDiscover(t *testing.T) {
	w := onMachine(t)
	do(t, "systemctl", "stop", "systemd-hostnamed")
	names := func() []string {
		names, err := w.bus.Names(t.Context())
		require.NoError(t, err)
		return slices.DeleteFunc(names, func(name string) bool { return name[0] == ':' })
	}
	before := names()
	began := time.Now()
	all := w.discover(state.Look{})
	t.Logf("%d services in %s", len(all), time.Since(began))
	assert.ElementsMatch(t, before, names(), "nothing was started")
	byName := map[string]state.Service{}
	for _, s := range all {
		byName[s.Name] = s
		t.Logf("%s running %t activatable %t: %d objects, %d interfaces %s", s.Name, s.Running, s.Activatable, len(s.Objects), s.Interfaces(), s.Problem)
		if s.Running {
			assert.Empty(t, s.Problem, s.Name)
			assert.NotEmpty(t, s.Objects, s.Name)
		}
	}
	assert.True(t, byName["org.freedesktop.systemd1"].Running)
	assert.Greater(t, len(byName["org.freedesktop.systemd1"].Objects), 20)
	assert.Equal(t, state.Service{Name: "org.freedesktop.hostname1", Activatable: true}, byName["org.freedesktop.hostname1"])

	began = time.Now()
	values := w.discover(state.Look{Services: []string{"org.freedesktop.systemd1"}, Values: true})
	assert.Empty(t, values[0].Problem)
	t.Logf("all properties of systemd in %s", time.Since(began))

	started := w.discover(state.Look{Services: []string{"org.freedesktop.hostname1"}, Activate: true, Values: true})[0]
	assert.True(t, started.Running)
	assert.Equal(t, []string{"/org/freedesktop/LogControl1", "/org/freedesktop/hostname1"}, paths(started))
	i := started.Objects[1].Interfaces[0]
	at := slices.IndexFunc(i.Properties, func(p state.ServiceProperty) bool { return p.Name == "StaticHostname" })
	assert.Equal(t, state.ServiceProperty{Name: "StaticHostname", Type: "s", Access: "read", Value: do(t, "hostnamectl", "--static")}, i.Properties[at])
}

func TestOnMachineHang(t *testing.T) {
	w := onMachine(t)
	do(t, "hostnamectl")
	pid := do(t, "systemctl", "show", "--value", "--property=MainPID", "systemd-hostnamed")
	do(t, "kill", "-STOP", pid)
	defer func() { do(t, "kill", "-CONT", pid) }()
	of := w.service("org.freedesktop.hostname1")
	assert.Equal(t, "org.freedesktop.hostname1 did not answer Introspect within 5s; the service may hang", of.Problem)
	_, err := w.read(hostname("PrettyHostname", "", "x"), hostname("StaticHostname", "", "x"))
	require.ErrorContains(t, err, "org.freedesktop.hostname1 did not answer GetAll within 25s; the service may hang")
}
