// Package ovstest starts an Open vSwitch of a test's own, whose datapath is in ovs-vswitchd, or that of the machine that the test runs on. It may import
// testify and providers/internal/ovsdb, and is imported by tests only.
package ovstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// A Switch is an Open vSwitch of the test's own.
type Switch struct {
	t        testing.TB
	Dir      string // its run directory
	address  string
	database *exec.Cmd
	daemon   *exec.Cmd
}

// New starts one, which ends with the test.
func New(t testing.TB) *Switch {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovs") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Switch{t: t, Dir: dir, address: "unix:" + filepath.Join(dir, "sock")}
	out, err := exec.Command("ovsdb-tool", "create", s.path("db"), "/usr/share/openvswitch/vswitch.ovsschema").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.StartDatabase()
	out, err = exec.Command("ovs-vsctl", "--db="+s.Address(), "--no-wait", "init").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.StartDaemon()
	return s
}

// Services starts the Open vSwitch of the machine that the test runs on, with its kernel's datapath, until the test ends.
func Services(t testing.TB) *Switch {
	t.Helper()
	s := &Switch{t: t, Dir: "/run/openvswitch", address: "unix:/run/openvswitch/db.sock"}
	t.Cleanup(func() {
		s.run("systemctl", "stop", "openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service")
	})
	s.run("systemctl", "start", "openvswitch-switch.service")
	return s
}

func (s *Switch) path(name string) string { return filepath.Join(s.Dir, name) }

// Address is where its database listens.
func (s *Switch) Address() string { return s.address }

// Client is a client of its database.
func (s *Switch) Client() *ovsdb.Client { return ovsdb.New(s.Address()) }

func (s *Switch) start(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(name, append(args, "--no-chdir", "--unixctl="+s.path(name+".ctl"), "-vconsole:off", "--log-file="+s.path(name+".log"))...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.Dir, "OVS_DBDIR="+s.Dir, "OVS_LOGDIR="+s.Dir)
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() { s.end(cmd) })
	return cmd
}

func (s *Switch) end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// StartDatabase starts ovsdb-server.
func (s *Switch) StartDatabase() {
	s.t.Helper()
	s.database = s.start("ovsdb-server", "--remote=p"+s.Address(), s.path("db"))
	require.Eventually(s.t, func() bool { _, err := os.Stat(s.path("sock")); return err == nil }, 10*time.Second, 10*time.Millisecond)
}

// StartDaemon starts ovs-vswitchd.
func (s *Switch) StartDaemon() { s.daemon = s.start("ovs-vswitchd", "--disable-system", s.Address()) }

// StopDaemon kills ovs-vswitchd.
func (s *Switch) StopDaemon() { s.end(s.daemon) }

// StopDatabase kills ovsdb-server.
func (s *Switch) StopDatabase() {
	s.end(s.database)
	_ = os.Remove(s.path("sock"))
}

// Vsctl runs ovs-vsctl(8).
func (s *Switch) Vsctl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-vsctl", append([]string{"--db=" + s.Address(), "--timeout=10"}, args...)...)
}

// Ofctl runs ovs-ofctl(8) with a command on a bridge.
func (s *Switch) Ofctl(command, bridge string, args ...string) string {
	s.t.Helper()
	return s.run("ovs-ofctl", append([]string{"-O", "OpenFlow14", "--no-names", "--no-stats", command, "unix:" + s.path(bridge+".mgmt")}, args...)...)
}

// Trace is where a packet goes (ofproto/trace of ovs-vswitchd(8)).
func (s *Switch) Trace(bridge, packet string) string {
	s.t.Helper()
	return s.run("ovs-appctl", "--target="+s.path("ovs-vswitchd.ctl"), "ofproto/trace", bridge, packet)
}

func (s *Switch) run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	var said strings.Builder // a slow machine is remarked upon there
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(s.t, err, "%s %v: %s%s", name, args, out, &said)
	return string(out)
}
