package machine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/opdbus/opdbus/internal/machine"
)

func services(t *testing.T, m *machine.Machine) {
	for _, property := range []struct{ service, path, iface, name, want string }{
		{"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "SystemState", `s "running"`},
		{"org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PreparingForShutdown", "b false"},
		{"org.freedesktop.hostname1", "/org/freedesktop/hostname1", "org.freedesktop.hostname1", "StaticHostname", `s "machine"`},
		{"org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager", "LLMNR", `s "yes"`},
		{"org.freedesktop.PackageKit", "/org/freedesktop/PackageKit", "org.freedesktop.PackageKit", "BackendName", `s "apt"`},
		{"org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority", "BackendName", `s "js"`},
	} {
		assert.Equal(t, property.want+"\n", m.Do("busctl", "get-property", property.service, property.path, property.iface, property.name))
	}
	assert.Contains(t, m.Do("resolvectl", "status"), "resolv.conf mode: stub")
}

func sessions(t *testing.T, m *machine.Machine) {
	m.Do("useradd", "--create-home", "alice")
	listed := func() string { return m.Do("loginctl", "list-sessions", "--no-legend") }
	assert.NotContains(t, listed(), "alice")

	one, endOne := m.Session("alice")
	two, endTwo := m.Session("alice")

	assert.NotEqual(t, one, two)
	assert.Equal(t, "Name=alice\nType=tty\nClass=user\nState=active\n", m.Do("loginctl", "show-session", one,
		"--property=Name", "--property=Type", "--property=Class", "--property=State"))
	endOne()
	assert.NotContains(t, ids(listed()), one)
	assert.Contains(t, ids(listed()), two)
	m.Do("loginctl", "terminate-session", two)
	endTwo()
	assert.NotContains(t, ids(listed()), two)
}

// ids are the first words of the lines.
func ids(lines string) (found []string) {
	for line := range strings.Lines(lines) {
		found = append(found, strings.Fields(line)[0])
	}
	return found
}

// packages has PackageKit, by way of its bus, do with the packages of the machine's repository what dpkg is then asked about.
func packages(t *testing.T, m *machine.Machine) {
	installed := func() string {
		return m.Do("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package} ${Version}\n", "opdbus-test-*")
	}
	pkcon := func(args ...string) string {
		return m.Do(append([]string{"pkcon", "--plain", "--noninteractive"}, args...)...)
	}

	pkcon("install", "opdbus-test-b", "opdbus-test-conf")
	assert.Equal(t, "ii opdbus-test-b 1.0\nii opdbus-test-c 1.0\nii opdbus-test-conf 1.0\n", installed())
	assert.Equal(t, "setting = default\n", m.Get("/etc/opdbus-test.conf"))
	pkcon("remove", "opdbus-test-b")
	m.Do("apt-get", "install", "--yes", "opdbus-test-a=1.0")
	assert.Equal(t, "ii opdbus-test-a 1.0\nii opdbus-test-c 1.0\nii opdbus-test-conf 1.0\n", installed())
	pkcon("update", "opdbus-test-a")
	assert.Contains(t, installed(), "ii opdbus-test-a 1.1\n")

	for _, name := range []string{"opdbus-test-lost", "opdbus-test-broken"} {
		code, out := m.Run(t.Context(), "pkcon", "--plain", "--noninteractive", "install", name)
		assert.NotZero(t, code, out)
		assert.Contains(t, out, name)
	}
	assert.Contains(t, installed(), "iF opdbus-test-broken 1.0\n")
	m.Do("dpkg", "--remove", "opdbus-test-broken")

	code, out := m.Run(t.Context(), "pkcon", "--plain", "--noninteractive", "refresh", "force")
	assert.NotZero(t, code, out)
	assert.Contains(t, out, "offline")
	m.Do("sh", "-c", "ip link add out type veth peer name nowhere && ip link set out up && ip route add default dev out")
	pkcon("refresh", "force")
	m.Do("ip", "link", "delete", "out")
	pkcon("install", "opdbus-test-b")
}
