package openflow

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/ovstest"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// What speaks to Open vSwitch runs on a machine, which has it.
func TestMachine(t *testing.T) {
	t.Parallel()
	machine.RunTests(t, machine.New(t), "^TestOnMachine")
}

// newLab is a switch with a bridge of which three ports lead into network namespaces a, b and c, with the addresses 10.0.0.1 to 10.0.0.3.
func newLab(t testing.TB) *ovstest.Switch {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on a machine, see TestMachine")
	}
	s := ovstest.New(t)
	s.Vsctl("add-br", "o0", "--", "set", "bridge", "o0", "datapath_type=netdev", "fail_mode=secure")
	for i, name := range []string{"a", "b", "c"} {
		s.Vsctl("add-port", "o0", "v"+name, "--", "set", "interface", "v"+name, "type=internal")
		sh(t, fmt.Sprintf(`ip netns add %[1]s && ip link set v%[1]s netns %[1]s
ip -n %[1]s link set lo up; ip -n %[1]s addr add 10.0.0.%[2]d/24 dev v%[1]s; ip -n %[1]s link set v%[1]s up`, name, i+1))
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	}
	return s
}

func sh(t testing.TB, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	require.NoError(t, err, "%s: %s", script, out)
	return string(out)
}

func ping(from, to string) error {
	return exec.Command("ip", "netns", "exec", from, "ping", "-q", "-c", "3", "-i", "0.3", "-W", "2", to).Run()
}

func addr(kind, key string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: provider}, Kind: kind, Key: key}
}

func kindsFor(s *ovstest.Switch) state.Kinds { return kindsOf(newSwitch(s.Client(), s.Dir)) }

// expanded are the objects that bridges come to.
func expanded(t testing.TB, all ...Bridge) ([]state.Declared, state.Diagnostics) {
	t.Helper()
	node := &state.Node{Addr: state.NodeAddr{Type: state.PluginNode, Name: provider}}
	for _, b := range all {
		for i := range b.Flows {
			b.Flows[i].Place(state.Range{File: "main.hcl", Line: i + 1}, func(string) state.Range { return state.Range{File: "main.hcl", Line: i + 1} })
		}
		node.Objects = append(node.Objects, state.Declared{Addr: addr("bridge", b.Name), Object: b, Attr: func(string) state.Range { return state.Range{File: "main.hcl"} }})
	}
	diags := (&bridges{}).Expand(t.Context(), nil, node, Bridge{})
	for _, d := range node.Objects {
		if c, ok := d.Object.(state.Checked); ok {
			c.Check(func(attr, summary, detail string) { diags.Errorf(d.Attr(attr), summary, "%s", detail) })
		}
	}
	return node.Objects, diags
}

// change makes the host go from some flows to others.
func change(t testing.TB, kinds state.Kinds, before, after []state.Declared) {
	t.Helper()
	require.NoError(t, tryChange(t.Context(), kinds, before, after))
}

func tryChange(ctx context.Context, kinds state.Kinds, before, after []state.Declared) error {
	by := map[string]*state.Change{}
	var order []string
	add := func(d state.Declared, set func(c *state.Change)) {
		if d.Addr.Kind != "flow" {
			return
		}
		if by[d.Addr.Key] == nil {
			by[d.Addr.Key] = &state.Change{Addr: d.Addr}
			order = append(order, d.Addr.Key)
		}
		set(by[d.Addr.Key])
	}
	for _, d := range before {
		add(d, func(c *state.Change) { c.Before = d.Object })
	}
	for _, d := range after {
		add(d, func(c *state.Change) { c.After = d.Object })
	}
	var changes []state.Change
	for _, key := range order {
		changes = append(changes, *by[key])
	}
	return kinds.For(addr("flow", "")).Apply(ctx, state.Site{}, changes)
}

func TestOnMachineContract(t *testing.T) {
	s := newLab(t)
	s.Ofctl("add-flow", "o0", "cookie=7,priority=5,tcp,tcp_dst=9,actions=drop")
	kinds := kindsFor(s)
	world := func() string { return s.Ofctl("dump-flows", "o0") }
	flow := func(f Flow) Flow {
		f.Name, f.Bridge = "o0 f", "o0"
		if f.Match == nil {
			f.Match = map[string]string{}
		}
		return f
	}
	a := flow(Flow{Priority: 10, Match: map[string]string{"tcp": "", "in_port": "va", "tcp_dst": "22"}, Actions: []string{"output:vb"}})
	for name, of := range map[string][2]Flow{
		"other actions":  {a, flow(Flow{Priority: 10, Match: a.Match, Actions: []string{"output:vb", "output:vc"}})},
		"other place":    {a, flow(Flow{Table: 3, Priority: 11, Match: map[string]string{"arp": "", "arp_tpa": "10.0.0.0/8"}, Actions: []string{"normal"}})},
		"other timeouts": {a, flow(Flow{Priority: 10, Match: a.Match, Actions: a.Actions, IdleTimeout: 300, HardTimeout: 600})},
		"in other words": {
			flow(Flow{Priority: 10, Match: map[string]string{"dl_type": "0x800", "nw_proto": "17", "nw_dst": "10.0.0.0/24", "tp_dst": "53"}, Actions: []string{"mod_nw_dst:10.0.0.2", "load:5->NXM_NX_REG0[]", "normal"}}),
			flow(Flow{Priority: 10, Match: map[string]string{"ip": ""}, Actions: []string{"ct(commit,table=5)", "resubmit(va,3)"}}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, providertest.Suite{Kind: kinds.For(addr("flow", "")), Addr: addr("flow", "o0 f"), A: of[0], B: of[1], Also: world})
		})
	}
	t.Run("in the place of somebody else's", func(t *testing.T) {
		s.Ofctl("add-flow", "o0", "cookie=8,priority=10,tcp,in_port=1,tcp_dst=22,actions=output:2")
		defer s.Ofctl("del-flows", "o0", "cookie=8/-1")
		kind := kinds.For(addr("flow", ""))
		lives, err := kind.Read(t.Context(), []state.Addr{addr("flow", "o0 f")}, []state.Object{a})
		require.NoError(t, err)
		require.NotNil(t, lives[0])
		assert.False(t, kind.Owns(a, lives[0]))
		_, err = kind.Claim(flow(Flow{Priority: 10, Match: a.Match, Actions: []string{"drop"}}), lives[0])
		require.ErrorContains(t, err, "bridge o0 has a flow in this place already, which opdbus did not make: cookie=0x8")
		b := a
		b.Actions = []string{"drop"}
		a, b := a, b
		a.takes, b.takes = true, true
		providertest.Run(t, providertest.Suite{Kind: kind, Addr: addr("flow", "o0 f"), A: a, B: b, Found: lives[0], Also: world})
	})
	t.Run("in the place of the switch's own", func(t *testing.T) {
		s.Vsctl("set", "bridge", "o0", "fail_mode=standalone")
		s.Ofctl("add-flow", "o0", "priority=0,actions=NORMAL")
		defer func() {
			s.Vsctl("set", "bridge", "o0", "fail_mode=secure")
			sh(t, "ovs-ofctl -O OpenFlow14 --strict del-flows unix:"+s.Dir+"/o0.mgmt priority=0")
		}()
		providertest.Run(t, providertest.Suite{Kind: kinds.For(addr("flow", "")), Addr: addr("flow", "o0 f"), A: flow(Flow{Actions: []string{"drop"}}), B: flow(Flow{Actions: []string{"output:vb"}}), Also: world})
	})
	t.Run("a bridge of opdbus' alone", func(t *testing.T) {
		kind := kinds.For(addr("bridge", ""))
		want := Bridge{Name: "o0", Exclusive: true}
		found := func() Bridge {
			lives, err := kind.Read(t.Context(), []state.Addr{addr("bridge", "o0")}, []state.Object{want})
			require.NoError(t, err)
			return lives[0].(Bridge)
		}
		s.Ofctl("add-flow", "o0", "cookie=7,priority=5,tcp,tcp_dst=9,actions=drop")
		before, was := found(), world()
		require.Len(t, before.Foreign, 1)
		for range 2 {
			require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Before: before, After: want}}))
			assert.Empty(t, world())
		}
		for range 2 {
			require.NoError(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Before: want, After: before}}))
			assert.Equal(t, was, world())
		}
	})
	t.Run("errors", func(t *testing.T) {
		apply := func(f Flow) error {
			return kinds.For(addr("flow", "")).Apply(t.Context(), state.Site{}, []state.Change{{After: f}})
		}
		was := world()
		require.ErrorContains(t, apply(flow(Flow{Bridge: "o0", Priority: 1, Actions: []string{"output:none0"}})), `cannot make flow "o0 f": bridge o0 has no port none0`)
		elsewhere := flow(Flow{Actions: []string{"drop"}})
		elsewhere.Bridge = "none0"
		require.ErrorContains(t, apply(elsewhere), "there is no bridge none0 in Open vSwitch; a network block declares one")
		_, err := kinds.For(addr("flow", "")).Read(t.Context(), []state.Addr{addr("flow", "a"), addr("flow", "b")},
			[]state.Object{a, flow(Flow{Actions: []string{"frobnicate"}})})
		require.ErrorContains(t, err, `flow "o0 f": ovs-ofctl parse-flows`)
		require.ErrorContains(t, err, "frobnicate")
		assert.Equal(t, was, world())
		s.StopDaemon()
		require.ErrorContains(t, apply(flow(Flow{Actions: []string{"drop"}})), "ovs-vswitchd does not serve the bridge: start it")
		s.StopDatabase()
		require.ErrorContains(t, apply(flow(Flow{Actions: []string{"drop"}})), "ovsdb-server does not run")
	})
}

// What of a network has to go on under each profile is tried with packets.
func TestOnMachineProfiles(t *testing.T) {
	s := newLab(t)
	kinds := kindsFor(s)
	server := exec.Command("ip", "netns", "exec", "b", os.Args[0], "-test.run", "^TestOnMachineServer$", "-test.v")
	server.Env = append(os.Environ(), "OPDBUS_TEST_SERVER=1")
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	var before []state.Declared
	for _, profile := range []string{none, basic, strict} {
		t.Run(profile, func(t *testing.T) {
			allow := []Declared{{Name: "ssh", Priority: p(100), Match: map[string]string{"tcp": "true", "tcp_dst": "22"}, Actions: []string{"ct(commit)", "normal"}}}
			if profile == none {
				allow = append(allow, Declared{Name: "rest", Priority: p(1), Actions: []string{"normal"}})
			}
			after, diags := expanded(t, Bridge{Name: "o0", SecurityProfile: p(profile), Flows: allow})
			require.False(t, diags.HasErrors(), "%v", diags)
			change(t, kinds, before, after)
			before = after

			sh(t, "for n in a b c; do ip -n $n neigh flush all; done")
			assert.NoError(t, ping("a", "10.0.0.2"), "ARP and ICMP")
			assert.NoError(t, connect(t, "a", "10.0.0.2:22"), "what is allowed")
			assert.NoError(t, send(t, "a", 68, "b", 67), "DHCP")
			assert.NoError(t, send(t, "b", 67, "a", 68), "DHCP's answer")
			spoofed := s.Trace("o0", "in_port=va,tcp,nw_src=127.0.0.1,nw_dst=10.0.0.2,tcp_dst=22,tcp_flags=2")
			if profile == none {
				assert.NotContains(t, spoofed, "Datapath actions: drop")
			} else {
				assert.Contains(t, spoofed, "Datapath actions: drop")
			}
			if profile == strict {
				assert.Error(t, connect(t, "a", "10.0.0.2:23"), "what is not allowed")
			} else {
				assert.NoError(t, connect(t, "a", "10.0.0.2:23"))
			}
		})
	}
	t.Run("a connection lives on when the profile comes", func(t *testing.T) {
		open, diags := expanded(t, Bridge{Name: "o0", Flows: []Declared{{Name: "all", Actions: []string{"normal"}}}})
		require.False(t, diags.HasErrors())
		change(t, kinds, before, open)
		say, hear := talk(t, "a", "10.0.0.2:23")
		require.NoError(t, say("before"))
		require.Equal(t, "before", hear())
		closed, diags := expanded(t, Bridge{Name: "o0", SecurityProfile: p(strict)})
		require.False(t, diags.HasErrors())
		change(t, kinds, open, closed)
		require.NoError(t, say("after"))
		require.Equal(t, "after", hear())
		assert.Error(t, connect(t, "a", "10.0.0.2:23"), "a new one does not come through")
	})
}

func p[T any](v T) *T { return &v }

// Packets, and not the text of flows, tell what a flow does; ofproto/trace says why.
func TestOnMachinePackets(t *testing.T) {
	s := newLab(t)
	kinds := kindsFor(s)
	pass, _ := expanded(t, Bridge{Name: "o0", Flows: []Declared{{Name: "all", Priority: p(1), Actions: []string{"normal"}}}})
	change(t, kinds, nil, pass)
	require.NoError(t, ping("a", "10.0.0.2"))
	stop, _ := expanded(t, Bridge{Name: "o0", Flows: []Declared{{Name: "all", Priority: p(1), Actions: []string{"normal"}},
		{Name: "stop", Priority: p(10), Match: map[string]string{"icmp": "true", "ip_dst": "10.0.0.2"}, Actions: []string{"drop"}}}})
	change(t, kinds, pass, stop)
	require.Error(t, ping("a", "10.0.0.2"))
	require.NoError(t, ping("a", "10.0.0.3"))
	assert.Contains(t, s.Trace("o0", "in_port=va,icmp,nw_src=10.0.0.1,nw_dst=10.0.0.2"), "Datapath actions: drop")
	change(t, kinds, stop, pass)
	require.NoError(t, ping("a", "10.0.0.2"))

	t.Run("flows that others have among them stay", func(t *testing.T) {
		s.Ofctl("add-flow", "o0", "cookie=7,priority=5,tcp,tcp_dst=9,actions=drop")
		theirs := func() string {
			return sh(t, "ovs-ofctl -O OpenFlow14 --no-stats dump-flows unix:"+s.Dir+"/o0.mgmt | grep -v cookie=0x6f70")
		}
		was := theirs()
		change(t, kinds, pass, stop)
		change(t, kinds, stop, nil)
		assert.Equal(t, was, theirs())
	})
	t.Run("one that cannot be made leaves all as it was", func(t *testing.T) {
		was := s.Ofctl("dump-flows", "o0")
		bad, _ := expanded(t, Bridge{Name: "o0", Flows: []Declared{{Name: "good", Actions: []string{"normal"}}, {Name: "bad", Actions: []string{"group:4000"}}}})
		require.ErrorContains(t, tryChange(t.Context(), kinds, nil, bad), "cannot change the flows of bridge o0")
		assert.Equal(t, was, s.Ofctl("dump-flows", "o0"))
	})
	t.Run("packets go on while ten thousand flows are swapped", func(t *testing.T) {
		sets := [2][]state.Declared{}
		for n := range sets {
			b := Bridge{Name: "o0", Flows: []Declared{{Name: "all", Priority: p(n + 1), Actions: []string{"normal"}}}}
			for i := range 10000 {
				b.Flows = append(b.Flows, Declared{Name: fmt.Sprint(i), Priority: p(100 + n), Match: map[string]string{"tcp": "true", "tcp_dst": fmt.Sprint(i + 1)}, Actions: []string{"drop"}})
			}
			sets[n], _ = expanded(t, b)
		}
		change(t, kinds, nil, sets[0])
		pings := exec.Command("ip", "netns", "exec", "a", "ping", "-c", "400", "-i", "0.01", "-W", "5", "10.0.0.2")
		out := &strings.Builder{}
		pings.Stdout = out
		require.NoError(t, pings.Start())
		for n := range 4 {
			change(t, kinds, sets[n%2], sets[(n+1)%2])
		}
		require.NoError(t, pings.Wait(), "%s", out)
		assert.Contains(t, out.String(), "400 packets transmitted, 400 received, 0% packet loss")
	})
}
