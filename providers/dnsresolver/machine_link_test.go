package dnsresolver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// addLink makes a link, and waits until resolved knows of it.
func addLink(t *testing.T, name string) {
	t.Helper()
	do(t, "ip", "link", "add", name, "type", "veth", "peer", "name", name+"p")
	do(t, "ip", "link", "set", name, "up")
	do(t, "ip", "link", "set", name+"p", "up")
	require.Eventually(t, func() bool { return ask(t, "dns", name) != "not told" }, 5*time.Second, 20*time.Millisecond)
}

func TestOnMachineLink(t *testing.T) {
	kinds := onMachine(t)
	addLink(t, "v0")
	yes, no := true, false
	a := Link{Name: "v0", Servers: []string{"192.0.2.2#dns.example", "192.0.2.1:5353", "2001:db8::1"}, Domains: []string{"~corp.example", "Example.org"},
		DefaultRoute: &yes, DNSSEC: text("allow-downgrade"), DNSOverTLS: text("opportunistic"), LLMNR: text("no"), MulticastDNS: text("resolve")}
	b := Link{Name: "v0", Servers: []string{"192.0.2.1:53", "192.0.2.2"}, Domains: []string{"example.org"}, DefaultRoute: &no, DNSSEC: text("no"),
		DNSOverTLS: text("no"), LLMNR: text("resolve"), MulticastDNS: text("no")}
	o := on(t, kinds, "link", "v0")

	t.Run("keeps the contract", func(t *testing.T) {
		do(t, "resolvectl", "dns", "v0", "192.0.2.1") // so that there is the directory
		do(t, "resolvectl", "revert", "v0")
		providertest.Run(t, providertest.Suite{Kind: o.kind, Addr: o.addr, A: a, B: b, Bare: Link{Name: "v0", Servers: a.Servers}, Dirs: []string{linkDir}})
	})
	t.Run("is what resolvectl says, in that order", func(t *testing.T) {
		require.NoError(t, o.apply(nil, a))
		assert.Equal(t, "192.0.2.2#dns.example 192.0.2.1:5353 2001:db8::1", ask(t, "dns", "v0"))
		assert.Equal(t, "~corp.example example.org", ask(t, "domain", "v0"))
		assert.Equal(t, "yes", ask(t, "default-route", "v0"))
		assert.Equal(t, "allow-downgrade", ask(t, "dnssec", "v0"))
		assert.Equal(t, "opportunistic", ask(t, "dnsovertls", "v0"))
		assert.Equal(t, "no", ask(t, "llmnr", "v0"))
		assert.Equal(t, "resolve", ask(t, "mdns", "v0"))
		listed, _, err := o.kind.List(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 1)
		assert.Equal(t, "v0", listed[0].Key())
	})
	t.Run("what is changed by hand is read as such, and heard of", func(t *testing.T) {
		for _, change := range [][]string{{"dns", "v0", "192.0.2.1:5353", "192.0.2.2#dns.example", "2001:db8::1"}, {"domain", "v0", "other.example"}, {"dnssec", "v0", "no"}, {"revert", "v0"}} {
			hears(t, o, a, change[0], func() { do(t, append([]string{"resolvectl"}, change...)...) })
			assert.False(t, state.Same(a, o.read(a)), "%v", change)
			require.NoError(t, o.apply(o.read(a), a))
			assert.True(t, state.Same(a, o.read(a)), "%v", change)
		}
	})
	t.Run("is lost with the link, and comes back when that does", func(t *testing.T) {
		hears(t, o, a, "the end", func() { do(t, "ip", "link", "delete", "v0") })
		assert.Nil(t, o.read(a))
		assert.EqualError(t, o.apply(nil, a), "cannot set the resolver of link v0: there is no such network interface")
		require.NoError(t, o.apply(a, nil), "nothing is left to be taken back")
		hears(t, o, a, "the beginning", func() { addLink(t, "v0") })
		assert.Nil(t, o.read(a))
		require.NoError(t, o.apply(nil, a))
		assert.True(t, state.Same(a, o.read(a)))
		hears(t, o, a, "a domain", func() { do(t, "resolvectl", "domain", "v0", "") })
	})
	t.Run("goes back to what was found", func(t *testing.T) {
		do(t, "resolvectl", "revert", "v0")
		do(t, "resolvectl", "dns", "v0", "198.51.100.7")
		do(t, "resolvectl", "domain", "v0", "kept.example")
		want := Link{Name: "v0", Servers: []string{"192.0.2.1"}, LLMNR: text("no")}
		require.False(t, o.kind.Owns(nil, o.read(want)))
		_, made := o.take(want)
		require.True(t, o.kind.Owns(made, o.read(made)))
		assert.Equal(t, "192.0.2.1", ask(t, "dns", "v0"))
		assert.Equal(t, "kept.example", ask(t, "domain", "v0"), "what is not managed is left")

		more := want
		more.Domains = []string{"~."}
		planned := []state.PlannedObject{{Addr: o.addr, Made: made, Live: o.read(more), Want: more}}
		require.NoError(t, o.kind.Plan(t.Context(), planned))
		require.NoError(t, o.apply(o.read(more), planned[0].Want))
		assert.Equal(t, "~.", ask(t, "domain", "v0"))
		require.NoError(t, o.apply(planned[0].Want, nil))
		assert.Equal(t, "198.51.100.7", ask(t, "dns", "v0"))
		assert.Equal(t, "kept.example", ask(t, "domain", "v0"), "also what came to be managed later")
		assert.Equal(t, "yes", ask(t, "llmnr", "v0"))
		assert.False(t, o.kind.Owns(planned[0].Want, o.read(planned[0].Want)))
	})
	t.Run("what others have set stays when what was unset is set back", func(t *testing.T) {
		do(t, "resolvectl", "revert", "v0")
		want := Link{Name: "v0", Servers: []string{"192.0.2.1"}, DefaultRoute: &no}
		require.Nil(t, o.read(want))
		require.NoError(t, o.apply(nil, want))
		do(t, "resolvectl", "llmnr", "v0", "resolve")
		require.NoError(t, o.apply(want, nil))
		assert.Equal(t, "resolve", ask(t, "llmnr", "v0"))
		assert.Empty(t, ask(t, "dns", "v0"))
		do(t, "resolvectl", "revert", "v0")
		require.NoError(t, o.apply(nil, want))
		do(t, "resolvectl", "domain", "v0", "theirs.example")
		require.NoError(t, o.apply(want, nil))
		assert.Equal(t, "theirs.example", ask(t, "domain", "v0"))
		do(t, "resolvectl", "revert", "v0")
	})
	t.Run("which already is as wanted is taken as it is, and let go as it is", func(t *testing.T) {
		want := Link{Name: "v0", LLMNR: text("yes")}
		live := o.read(want)
		require.True(t, state.Same(want, live))
		made, err := o.kind.Claim(want, live)
		require.NoError(t, err)
		assert.False(t, o.kind.Owns(made, o.read(made)))
	})
}
