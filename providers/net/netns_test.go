package net

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// A port's link is in the network namespace that is declared, takes its addresses there and back, and comes again when it went with the namespace.
func TestOnMachineNamespaces(t *testing.T) {
	s := newSwitch(t)
	kinds := s.kinds()
	for _, netns := range []string{"blue", "green"} {
		ip(t, "netns", "add", netns)
		t.Cleanup(func() { withoutNamespace(t, netns) })
	}
	change := func(before, after state.Object) error {
		kind, key := "port", "w0"
		for _, o := range []state.Object{before, after} {
			switch o.(type) {
			case Bridge:
				kind, key = "bridge", o.Key()
			case Address:
				kind, key = "address", o.Key()
			}
		}
		return kinds.For(addr(kind, key)).Apply(t.Context(), state.Site{}, []state.Change{{Addr: addr(kind, key), Before: before, After: after}})
	}
	live := func(want state.Object) state.Object {
		t.Helper()
		kind := "port"
		if _, is := want.(Address); is {
			kind = "address"
		}
		lives, err := kinds.For(addr(kind, want.Key())).Read(t.Context(), []state.Addr{addr(kind, want.Key())}, []state.Object{want})
		require.NoError(t, err)
		return lives[0]
	}
	port := func(netns string) Port { return Port{Name: "w0", Bridge: "o0", Type: p("internal"), Netns: &netns} }
	address := func(netns string) Address {
		return Address{Name: "w0 10.7.0.1/24", Link: "w0", Address: "10.7.0.1/24", Netns: &netns}
	}
	where := func() (all []string) {
		for _, netns := range []string{"", "blue", "green"} {
			args := []string{"-br", "addr"}
			if netns != "" {
				args = append([]string{"-n", netns}, args...)
			}
			for line := range strings.Lines(ip(t, args...)) {
				if fields := strings.Fields(line); fields[0] == "w0" {
					fields[0] = netns
					all = append(all, strings.Join(fields[:min(3, len(fields))], " "))
				}
			}
		}
		return all
	}
	require.NoError(t, change(nil, Bridge{Name: "o0", DatapathType: p("netdev")}))
	defer func() { assert.NoError(t, change(Bridge{Name: "o0"}, nil)) }()

	t.Run("contract", func(t *testing.T) {
		for _, to := range []string{"green", ""} {
			at := addr("port", "w0")
			providertest.Run(t, providertest.Suite{Kind: kinds.For(at), Addr: at, A: port("blue"), B: port(to), Bare: port("blue"), Also: func() string { return s.world() + strings.Join(where(), "\n") }})
		}
	})
	require.NoError(t, change(nil, port("blue")))
	require.NoError(t, change(nil, address("blue")))
	assert.Equal(t, []string{"blue UNKNOWN 10.7.0.1/24"}, where())
	t.Run("it moves with its addresses, whichever is told first", func(t *testing.T) {
		require.NoError(t, change(port("blue"), port("green")))
		require.NoError(t, change(address("blue"), address("green")))
		assert.Equal(t, []string{"green UNKNOWN 10.7.0.1/24"}, where())
		require.NoError(t, change(address("green"), address("")))
		require.NoError(t, change(port("green"), port("")))
		assert.Equal(t, []string{" UNKNOWN 10.7.0.1/24"}, where())
		assert.True(t, port("").Same(live(port(""))))
		assert.True(t, address("").Same(live(address(""))))
		require.NoError(t, change(port(""), port("blue")))
		require.NoError(t, change(address(""), address("blue")))
		assert.Equal(t, []string{"blue UNKNOWN 10.7.0.1/24"}, where())
		assert.True(t, port("blue").Same(live(port("blue"))))
		assert.True(t, address("blue").Same(live(address("blue"))))
	})
	t.Run("a link by a name that the switch does not know", func(t *testing.T) {
		ip(t, "link", "add", "w8", "type", "veth", "peer", "name", "w9")
		clean(t, "w8")
		ip(t, "link", "property", "add", "dev", "w8", "altname", "wan")
		items := []state.PlannedObject{{Addr: addr("port", "wan"), Want: Port{Name: "wan", Bridge: "o0"}}}
		assert.ErrorContains(t, kinds.For(addr("port", "wan")).Plan(t.Context(), items), "declare a port of that name")
	})
	t.Run("moved by hand", func(t *testing.T) {
		ip(t, "-n", "blue", "link", "set", "w0", "netns", "green")
		assert.False(t, port("blue").Same(live(port("blue"))), "it is nowhere that is known")
		ip(t, "-n", "green", "link", "set", "w0", "netns", "blue")
		require.NoError(t, change(live(port("blue")), port("blue")))
		require.NoError(t, change(nil, address("blue")))
	})
	t.Run("the namespace goes", func(t *testing.T) {
		ip(t, "netns", "del", "blue")
		gone := live(port("blue"))
		assert.False(t, port("blue").Same(gone))
		assert.Nil(t, live(address("blue")))
		assert.ErrorContains(t, change(gone, port("blue")), "cannot make port w0: there is no network namespace blue: ip netns add blue makes it")
		ip(t, "netns", "add", "blue")
		assert.Eventually(t, func() bool { return len(where()) == 0 }, 10*time.Second, 100*time.Millisecond)
		require.NoError(t, change(live(port("blue")), port("blue")))
		require.NoError(t, change(nil, address("blue")))
		assert.Equal(t, []string{"blue UNKNOWN 10.7.0.1/24"}, where())
	})
	require.NoError(t, change(address("blue"), nil))
	require.NoError(t, change(port("blue"), nil))
	assert.Empty(t, where())
}
