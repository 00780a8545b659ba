package net

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// A switchOf is an Open vSwitch of the test's own, with the datapath in ovs-vswitchd.
type switchOf struct {
	t        testing.TB
	dir      string
	database *exec.Cmd
	daemon   *exec.Cmd
}

func newSwitch(t testing.TB) *switchOf {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	s := &switchOf{t: t, dir: t.TempDir()}
	out, err := exec.Command("ovsdb-tool", "create", s.path("db"), "/usr/share/openvswitch/vswitch.ovsschema").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.startDatabase()
	out, err = exec.Command("ovs-vsctl", "--db="+s.address(), "--no-wait", "init").CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.startDaemon()
	return s
}

func (s *switchOf) path(name string) string { return filepath.Join(s.dir, name) }
func (s *switchOf) address() string         { return "unix:" + s.path("sock") }

func (s *switchOf) start(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(name, append(args, "--no-chdir", "--unixctl="+s.path(name+".ctl"), "-vconsole:off", "--log-file="+s.path(name+".log"))...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_DBDIR="+s.dir, "OVS_LOGDIR="+s.dir)
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func (s *switchOf) startDatabase() {
	s.database = s.start("ovsdb-server", "--remote=p"+s.address(), s.path("db"))
	require.Eventually(s.t, func() bool { _, err := os.Stat(s.path("sock")); return err == nil }, 10*time.Second, 10*time.Millisecond)
}

func (s *switchOf) startDaemon() {
	s.daemon = s.start("ovs-vswitchd", "--disable-system", s.address())
}

func (s *switchOf) vsctl(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("ovs-vsctl", append([]string{"--db=" + s.address(), "--timeout=10"}, args...)...).CombinedOutput()
	require.NoError(s.t, err, "ovs-vsctl %v: %s", args, out)
	return string(out)
}

func (s *switchOf) kinds() state.Kinds {
	return kindsOf(state.Host{}, sysbus.New(""), ovsdb.New(s.address()))
}

// world is what the database has, without what changes by itself.
func (s *switchOf) world() string {
	s.t.Helper()
	return s.vsctl("--columns=name,datapath_type,fail_mode,protocols,stp_enable,external_ids,other_config", "list", "bridge") +
		s.vsctl("--columns=name,tag,trunks,external_ids", "list", "port") + s.vsctl("--columns=name,type,options,error", "list", "interface") +
		s.vsctl("--columns=target", "list", "controller") + s.vsctl("show")
}

// What speaks to Open vSwitch, or to systemd, runs on a machine, which has them.
func TestMachine(t *testing.T) {
	m := machine.New(t)
	m.Opdbus()
	machine.RunTests(t, m, "^TestOnMachine")
}

func TestOnMachineSwitch(t *testing.T) {
	s := newSwitch(t)
	s.vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type=netdev", "--", "add-port", "theirs", "theirs1", "--", "set", "interface", "theirs1", "type=internal")
	before := s.world()
	kinds := s.kinds()
	run := func(t *testing.T, kind string, a, b, bare state.Object) {
		at := addr(kind, a.Key())
		providertest.Run(t, providertest.Suite{Kind: kinds.For(at), Addr: at, A: a, B: b, Bare: bare, Also: func() string { return s.world()[strings.Index(s.world(), "name"):] }})
	}
	t.Run("bridges", func(t *testing.T) {
		run(t, "bridge",
			Bridge{Name: "o0", DatapathType: p("netdev"), FailMode: p("secure"), Protocols: []string{"OpenFlow13"}, STP: p(false), Controller: p(""), ExternalIDs: map[string]string{"a": "1"}},
			Bridge{Name: "o0", DatapathType: p("netdev"), FailMode: p("standalone"), Protocols: []string{"OpenFlow10", "OpenFlow13"}, STP: p(true), Controller: p("tcp:127.0.0.1:1"),
				ExternalIDs: map[string]string{"a": "2"}},
			Bridge{Name: "o0"})
	})
	require.NoError(t, kinds.For(addr("bridge", "")).Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr("bridge", "o1"), After: Bridge{Name: "o1", DatapathType: p("netdev")}}}))
	t.Run("ports", func(t *testing.T) {
		ip(t, "link", "add", "w0", "type", "veth", "peer", "name", "w1")
		clean(t, "w0")
		for name, of := range map[string][2]Port{
			"w0": {{Tag: p(5), Trunks: []int{}}, {Tag: p(noTag), Trunks: []int{7, 6}}},
			"w2": {{Type: p("internal"), Tag: p(100)}, {Type: p("internal"), Tag: p(200)}},
			"w3": {{Type: p("vxlan"), Options: map[string]string{"remote_ip": "192.0.2.7", "key": "5"}}, {Type: p("vxlan"), Options: map[string]string{"remote_ip": "192.0.2.8", "key": "6"}}},
		} {
			t.Run(name, func(t *testing.T) {
				a, b := of[0], of[1]
				a.Name, b.Name, a.Bridge, b.Bridge = name, name, "o1", "o1"
				run(t, "port", a, b, Port{Name: name, Bridge: "o1", Type: a.Type})
			})
		}
	})
	t.Run("the two ends of a patch come together", func(t *testing.T) {
		var there, back []state.Change
		for name, peer := range map[string]string{"w4": "w5", "w5": "w4"} {
			port := Port{Name: name, Bridge: "o1", Type: p("patch"), Options: map[string]string{"peer": peer}}
			there = append(there, state.Change{Addr: addr("port", name), After: port})
			back = append(back, state.Change{Addr: addr("port", name), Before: port})
		}
		require.NoError(t, kinds.For(addr("port", "")).Apply(t.Context(), state.Site{}, there))
		require.NoError(t, kinds.For(addr("port", "")).Apply(t.Context(), state.Site{}, back))
	})
	t.Run("what vswitchd cannot make is an error, with what it says", func(t *testing.T) {
		port := Port{Name: "nowhere", Bridge: "o1"}
		at := addr("port", port.Name)
		err := kinds.For(at).Apply(t.Context(), state.Site{}, []state.Change{{Addr: at, After: port}})
		require.ErrorContains(t, err, "cannot make port nowhere: ovs-vswitchd says: ")
		require.NoError(t, kinds.For(at).Apply(t.Context(), state.Site{}, []state.Change{{Addr: at, Before: port}}))
	})
	require.NoError(t, kinds.For(addr("bridge", "")).Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr("bridge", "o1"), Before: Bridge{Name: "o1"}}}))
	assert.Equal(t, before, s.world())
}
