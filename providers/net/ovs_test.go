package net

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/ovstest"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// A switchOf is an Open vSwitch of the test's own.
type switchOf struct{ *ovstest.Switch }

func newSwitch(t testing.TB) switchOf {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	return switchOf{ovstest.New(t)}
}

func (s switchOf) kinds() state.Kinds {
	return kindsOf(state.Host{}, sysbus.New(""), &vswitch{s.Client(), s.Dir})
}

// world is what the database has, without what changes by itself.
func (s switchOf) world() string {
	return s.Vsctl("--columns=name,datapath_type,fail_mode,protocols,stp_enable,external_ids,other_config", "list", "bridge",
		"--", "--columns=name,tag,trunks,external_ids", "list", "port", "--", "--columns=name,type,options,error", "list", "interface",
		"--", "--columns=target", "list", "controller", "--", "show")
}

// What speaks to Open vSwitch, or to systemd, runs on a machine, which has them.
func TestMachine(t *testing.T) {
	m := machine.New(t)
	m.Opdbus()
	machine.RunTests(t, m, "^TestOnMachine")
}

func TestOnMachineSwitch(t *testing.T) {
	s := newSwitch(t)
	s.Vsctl("add-br", "theirs", "--", "set", "bridge", "theirs", "datapath_type=netdev", "--", "add-port", "theirs", "theirs1", "--", "set", "interface", "theirs1", "type=internal")
	before := s.world()
	kinds := s.kinds()
	run := func(t *testing.T, kind string, a, b, bare state.Object) {
		at := addr(kind, a.Key())
		providertest.Run(t, providertest.Suite{Kind: kinds.For(at), Addr: at, A: a, B: b, Bare: bare, Also: s.world})
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
	t.Run("changes are heard of", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		heard := make(chan []state.Addr, 100)
		at := addr("bridge", "o1")
		require.NoError(t, kinds.For(at).Watch(ctx, []state.Addr{at}, []state.Object{Bridge{Name: "o1"}}, func(named []state.Addr, err error) {
			assert.NoError(t, err)
			heard <- named
		}))
		s.Vsctl("set", "bridge", "o1", "other_config:hwaddr=02:00:00:00:00:77")
		select {
		case named := <-heard:
			assert.Equal(t, []state.Addr{at}, named)
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was heard of")
		}
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
