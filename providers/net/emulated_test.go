package net

import (
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

// What needs more than the kernel of whoever runs the tests may have runs on an emulated machine: every TestOnEmulated of this package.
// Udev runs there too, which has a say in what becomes of links. So do the tests of WireGuard, whose devices are the kernel's there.
func TestEmulated(t *testing.T) {
	m := machine.NewEmulated(t)
	m.Opdbus()
	machine.RunTests(t, m, "^(TestOnEmulated.*|TestOnMachineWireGuard|TestOnMachineTunnel)$")
}

func onEmulated(t *testing.T) {
	t.Helper()
	if !machine.Emulated() {
		t.Skip("runs on an emulated machine, see TestEmulated")
	}
}

// Every kind of links that a kernel may lack is here, with what is set on it in turn, and tap, which has its mac after udev has heard of it.
func TestOnEmulatedLinks(t *testing.T) {
	onEmulated(t)
	for _, command := range []string{
		"link add b9 address 02:00:00:00:00:99 type bridge", "link add d9 address 02:00:00:00:00:98 type dummy", "link set d9 up",
		"link add vrf9 type vrf table 99", // with the first comes a rule that stays
	} {
		ip(t, strings.Fields(command)...)
	}
	clean(t, "b9", "d9", "vrf9")
	mac := [2]*string{p("02:00:00:00:00:01"), p("02:00:00:00:00:02")}
	for name, of := range map[string]struct{ bare, a, b Link }{
		"dummy":       {Link{Kind: "dummy"}, Link{MAC: mac[0], Master: p("")}, Link{MAC: mac[1], Master: p("b9")}},
		"vlan":        {Link{Kind: "vlan", Parent: p("d9"), VLANID: p(7)}, Link{MAC: mac[0], Master: p("")}, Link{MAC: mac[1], Master: p("b9")}},
		"bond":        {Link{Kind: "bond"}, Link{MAC: mac[0], Master: p("")}, Link{MAC: mac[1], Master: p("b9")}},
		"bond's mode": {Link{Kind: "bond", Mode: p("802.3ad")}, Link{MAC: mac[0]}, Link{MAC: mac[1]}},
		"vrf":         {Link{Kind: "vrf", Table: p(100)}, Link{MAC: mac[0]}, Link{MAC: mac[1]}},
		"tap":         {Link{Kind: "tap"}, Link{MAC: mac[0]}, Link{MAC: mac[1]}},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, "x0")
			of.bare.Name = "x0"
			a, b := of.bare, of.bare
			a.MTU, b.MTU = p(1400), p(1300)
			a.Up, b.Up = p(true), p(false)
			a.MAC, b.MAC, a.Master, b.Master = of.a.MAC, of.b.MAC, of.a.Master, of.b.Master
			providertest.Run(t, suite(t, "link", a, b, of.bare))
		})
	}
}

// A bond takes no link that is up, makes those that it takes be up, and those that it lets go be down. A vrf takes any.
func TestOnEmulatedMembers(t *testing.T) {
	onEmulated(t)
	for _, command := range []string{
		"link add bo9 address 02:00:00:00:00:97 type bond mode active-backup", "link add d8 address 02:00:00:00:00:95 type dummy", "link set d8 master bo9", "link add vrf9 type vrf table 100",
	} {
		ip(t, strings.Fields(command)...)
	}
	clean(t, "bo9", "vrf9", "d8")
	t.Run("made for a bond", func(t *testing.T) {
		clean(t, "x0")
		a, b := Link{Name: "x0", Kind: "dummy", Master: p("bo9"), Up: p(true)}, Link{Name: "x0", Kind: "dummy", Master: p(""), Up: p(true)}
		providertest.Run(t, suite(t, "link", a, b, Link{Name: "x0", Kind: "dummy"}))
	})
	for _, master := range []string{"bo9", "vrf9"} {
		t.Run("found, up, and given to "+master, func(t *testing.T) {
			ip(t, "link", "add", "e0", "address", "02:00:00:00:00:96", "type", "dummy")
			ip(t, "link", "set", "e0", "up")
			clean(t, "e0")
			a := Link{Name: "e0", Kind: existing, Master: &master, Up: p(true)}
			b := a
			b.Up = p(false)
			s := suite(t, "link", a, b, Link{Name: "e0", Kind: existing})
			s.Found = Link{Name: "e0", Kind: existing, Master: p(""), Up: p(true)}
			providertest.Run(t, s)
		})
	}
}

// Open vSwitch forwards in the kernel, as it does on a host.
func TestOnEmulatedSwitch(t *testing.T) {
	onEmulated(t)
	s := switchOf{ovstest.Services(t)}
	run := func(t *testing.T, kind string, a, b, bare state.Object) {
		at := addr(kind, a.Key())
		providertest.Run(t, providertest.Suite{Kind: kinds().For(at), Addr: at, A: a, B: b, Bare: bare, Also: s.world})
	}
	system := func(name string) Bridge { return Bridge{Name: name, DatapathType: p("system")} }
	t.Run("bridges", func(t *testing.T) {
		a, b := system("k0"), system("k0")
		a.FailMode, b.FailMode, a.STP, b.STP = p("secure"), p("standalone"), p(false), p(true)
		run(t, "bridge", a, b, Bridge{Name: "k0"})
	})

	require.NoError(t, apply(t, "bridge", nil, system("k1")))
	defer func() { assert.NoError(t, apply(t, "bridge", system("k1"), nil)) }()
	assert.Contains(t, ip(t, "-d", "link", "show", "k1"), "openvswitch")
	t.Run("ports", func(t *testing.T) {
		ip(t, "link", "add", "w0", "type", "veth", "peer", "name", "w1")
		clean(t, "w0")
		for name, of := range map[string][2]Port{
			"w0": {{Tag: p(5), Trunks: []int{}}, {Tag: p(noTag), Trunks: []int{7, 6}}},
			"w2": {{Type: p("internal"), Tag: p(100)}, {Type: p("internal"), Tag: p(200)}},
		} {
			t.Run(name, func(t *testing.T) {
				a, b := of[0], of[1]
				a.Name, b.Name, a.Bridge, b.Bridge = name, name, "k1", "k1"
				run(t, "port", a, b, Port{Name: name, Bridge: "k1", Type: a.Type})
			})
		}
	})

	t.Run("tunnels", func(t *testing.T) {
		port := Port{Name: "w3", Bridge: "k1", Type: p("vxlan"), Options: map[string]string{"remote_ip": "192.0.2.7", "key": "5"}}
		require.NoError(t, apply(t, "port", nil, port))
		assert.True(t, port.Same(read(t, "port", port)))
		assert.Contains(t, ip(t, "-d", "link", "show", "vxlan_sys_4789"), "vxlan external")
		require.NoError(t, apply(t, "port", port, nil))
	})

	t.Run("what goes in at one port comes out at another, in another namespace", func(t *testing.T) {
		for _, command := range []string{"netns add na", "netns add nb", "link add w0 type veth peer name w1 netns nb", "link set w0 up"} {
			ip(t, strings.Fields(command)...)
		}
		t.Cleanup(func() { withoutNamespace(t, "na"); withoutNamespace(t, "nb", "w0") })
		inner, outer := Port{Name: "w2", Bridge: "k1", Type: p("internal")}, Port{Name: "w0", Bridge: "k1"}
		for _, port := range []Port{inner, outer} {
			require.NoError(t, apply(t, "port", nil, port))
			defer func() { assert.NoError(t, apply(t, "port", port, nil)) }()
		}
		for _, command := range []string{
			"link set w2 netns na", "-n na link set w2 up", "-n na addr add 192.0.2.1/24 dev w2", "-n nb link set w1 up", "-n nb addr add 192.0.2.2/24 dev w1",
		} {
			ip(t, strings.Fields(command)...)
		}
		ping := func() error {
			return exec.Command("ip", "netns", "exec", "na", "ping", "-c", "3", "-i", "0.2", "-W", "5", "192.0.2.2").Run()
		}
		require.NoError(t, ping())
		tagged := inner
		tagged.Tag = p(7)
		require.NoError(t, apply(t, "port", inner, tagged), "a port may be in another namespace")
		assert.Error(t, ping(), "they are on different VLANs")
		require.NoError(t, apply(t, "port", tagged, Port{Name: "w2", Bridge: "k1", Type: p("internal"), Tag: p(noTag)}))
		require.NoError(t, ping())
	})
}

// A network card is found by the slot it is in, and by its mac, also when it has another by now.
func TestOnEmulatedMatch(t *testing.T) {
	onEmulated(t)
	for name, match := range map[string]Match{
		"mac": {MAC: p("52:54:00:00:00:01")}, "path": {Path: p("pci-*:10.0")}, "both": {MAC: p("52:54:00:00:00:01"), Path: p("pci-0000:00:10.?")},
	} {
		t.Run(name, func(t *testing.T) {
			want := Link{Name: "wan", Kind: existing, Match: &match}
			was, ok := read(t, "link", want).(Link)
			require.True(t, ok, "it is not found")
			assert.True(t, was.Unnamed)
			a, b := want, want
			a.MTU, b.MTU, a.MAC, b.MAC, a.Up, b.Up = p(1400), p(1300), p("52:54:00:00:00:01"), p("52:54:00:00:00:07"), p(true), p(false)
			s := suite(t, "link", a, b, want)
			found := want
			found.MTU, found.MAC, found.Up, found.Unnamed = p(1500), p("52:54:00:00:00:01"), p(false), true
			s.Found = found
			providertest.Run(t, s)
		})
	}
	assert.Nil(t, read(t, "link", Link{Name: "wan", Kind: existing, Match: &Match{MAC: p("52:54:00:00:00:01"), Path: p("pci-0000:00:11.0")}}), "both have to fit")
	assert.Nil(t, read(t, "link", Link{Name: "wan", Kind: existing, Match: &Match{Path: p("usb-*")}}))
	at := addr("link", "wan")
	_, err := kinds().For(at).Read(t.Context(), []state.Addr{at}, []state.Object{Link{Name: "wan", Kind: existing, Match: &Match{Path: p("pci-*")}}})
	assert.ErrorContains(t, err, "say more of it in match")
}

func TestOnEmulatedParent(t *testing.T) {
	onEmulated(t)
	ip(t, "link", "add", "d9", "type", "dummy")
	clean(t, "d9")
	on := Link{Name: "x0", Kind: "vlan", Parent: p("d9"), VLANID: p(7)}
	require.ErrorContains(t, apply(t, "link", nil, on), "cannot make link x0: network is down: the link that it is made on has to be up")
	ip(t, "link", "set", "d9", "up")
	require.NoError(t, apply(t, "link", nil, on), "it goes on from there")
	require.NoError(t, apply(t, "link", on, nil))
}
