package dnsresolver

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachineResolver(t *testing.T) {
	kinds := onMachine(t)
	o := on(t, kinds, "resolver", "global")
	a := Resolver{Name: "global", Servers: []string{"192.0.2.2#dns.example", "192.0.2.1:5353"}, Search: []string{"corp.example", "~lab.example"},
		DNSSEC: text("allow-downgrade"), DNSOverTLS: text("opportunistic"), Parents: []string{"/etc/systemd/resolved.conf.d"}}
	b := Resolver{Name: "global", Servers: []string{"192.0.2.1:53"}, Search: []string{}, DNSSEC: text("yes"), DNSOverTLS: text("no"), Parents: a.Parents}

	t.Run("of resolved keeps the contract", func(t *testing.T) {
		providertest.Run(t, providertest.Suite{Kind: o.kind, Addr: o.addr, A: a, B: b, Bare: Resolver{Name: "global", Search: a.Search}, Dirs: []string{"/etc/systemd"}})
	})
	t.Run("of resolved is what resolvectl says, and links keep theirs", func(t *testing.T) {
		addLink(t, "r0")
		do(t, "resolvectl", "dns", "r0", "198.51.100.7")
		planned := []state.PlannedObject{{Addr: o.addr, Want: a}}
		require.NoError(t, o.kind.Plan(t.Context(), planned))
		assert.Equal(t, a.Parents, planned[0].Want.(Resolver).Parents)
		require.NoError(t, o.apply(nil, a))
		assert.Equal(t, "192.0.2.2#dns.example 192.0.2.1:5353", ask(t, "dns", "Global"))
		assert.Equal(t, "corp.example ~lab.example", ask(t, "domain", "Global"))
		assert.Equal(t, "198.51.100.7", ask(t, "dns", "r0"))
		listed, _, err := o.kind.List(t.Context())
		require.NoError(t, err)
		require.Len(t, listed, 1)
		assert.Equal(t, []string{"192.0.2.2#dns.example", "192.0.2.1:5353"}, listed[0].(Resolver).Servers)
		link, err := os.Readlink(resolvConf)
		require.NoError(t, err)
		assert.Equal(t, "../run/systemd/resolve/stub-resolv.conf", link)
	})
	t.Run("that is changed by hand is read as such", func(t *testing.T) {
		hears(t, o, a, "the drop-in", func() { do(t, "sed", "-i", "s/192.0.2.2/192.0.2.3/", dropIn) })
		restarted(t)
		live := o.read(a)
		assert.Equal(t, []string{"192.0.2.3#dns.example", "192.0.2.1:5353"}, live.(Resolver).Servers)
		require.True(t, o.kind.Owns(a, live))
		require.NoError(t, o.apply(live, a))
		assert.True(t, state.Same(a, o.read(a)))

		do(t, "rm", dropIn)
		restarted(t)
		require.False(t, state.Same(a, o.read(a)))
		require.NoError(t, o.apply(nil, a))
		assert.True(t, state.Same(a, o.read(a)))
	})
	t.Run("of a resolved that does not run is nothing, and reading does not start it", func(t *testing.T) {
		do(t, "systemctl", "stop", "systemd-resolved")
		live := o.read(a)
		assert.Empty(t, live.(Resolver).Servers)
		assert.NotEqual(t, "active", do(t, "systemctl", "show", "--property=ActiveState", "--value", "systemd-resolved"))
		require.NoError(t, o.apply(live, a))
		assert.True(t, state.Same(a, o.read(a)))
	})
	t.Run("that another file overrides is not as it is wanted, and that is said", func(t *testing.T) {
		const other = "/etc/systemd/resolved.conf.d/90-other.conf"
		require.NoError(t, os.WriteFile(other, []byte("[Resolve]\nDNS=198.51.100.9\n"), 0o644))
		restarted(t)
		live := o.read(a)
		assert.Equal(t, []string{"192.0.2.2#dns.example", "192.0.2.1:5353", "198.51.100.9"}, live.(Resolver).Servers)
		assert.Contains(t, o.kind.Explain(t.Context(), a, live), "another file in /etc/systemd/resolved.conf.d")
		do(t, "rm", other)
	})
	t.Run("goes back to what others have set for resolved", func(t *testing.T) {
		require.NoError(t, os.WriteFile("/etc/systemd/resolved.conf.d/10-found.conf", []byte("[Resolve]\nDNS=198.51.100.1\n"), 0o644))
		require.NoError(t, o.apply(a, nil))
		assert.Equal(t, "198.51.100.1", ask(t, "dns", "Global"))
		live, made := o.take(Resolver{Name: "global", Servers: []string{"192.0.2.1"}})
		assert.Equal(t, []string{"198.51.100.1"}, live.(Resolver).Servers)
		require.NoError(t, o.apply(made, live), "as a run that is taken back")
		assert.Equal(t, "198.51.100.1", ask(t, "dns", "Global"))
		assert.True(t, state.Same(live, o.read(live)))
		_, made = o.take(Resolver{Name: "global", Servers: []string{"192.0.2.1"}})
		require.NoError(t, o.apply(made, nil))
		assert.Equal(t, "198.51.100.1", ask(t, "dns", "Global"))
		assert.NoFileExists(t, dropIn)
		do(t, "rm", "/etc/systemd/resolved.conf.d/10-found.conf")
	})
	t.Run("that was cut off between the file and the restart goes on", func(t *testing.T) {
		restarted(t)
		files := marked.Files{}
		require.NoError(t, files.Write(dropIn, a.text()))
		require.NoError(t, o.apply(nil, a))
		assert.Equal(t, "192.0.2.2#dns.example 192.0.2.1:5353", ask(t, "dns", "Global"))
		require.NoError(t, files.Remove(dropIn, nil))
		require.NoError(t, o.apply(a, nil))
		assert.Empty(t, ask(t, "dns", "Global"))
	})
	t.Run("that cannot be is refused, with what to do", func(t *testing.T) { refuses(t, o, a) })
}

// restarted restarts resolved by hand, however often that was done before.
func restarted(t *testing.T) {
	t.Helper()
	do(t, "systemctl", "reset-failed", "systemd-resolved")
	do(t, "systemctl", "restart", "systemd-resolved")
	do(t, "resolvectl", "dns") // it may take its name on the bus a little later, which this waits for
}

func refuses(t *testing.T, o thing, a Resolver) {
	refused := func(want Resolver, says string) {
		t.Helper()
		live := o.read(want)
		require.NotNil(t, live)
		require.False(t, state.Same(want, live))
		require.False(t, o.kind.Owns(want, live))
		_, err := o.kind.Claim(want, live)
		require.ErrorContains(t, err, says)
	}
	refused(Resolver{Name: "global", Options: []string{"rotate"}}, "systemd-resolved, which has no options. Take options out")
	do(t, "mkdir", "-p", "/etc/systemd/resolved.conf.d")
	require.NoError(t, os.WriteFile(dropIn, []byte("[Resolve]\n"), 0o644))
	refused(a, dropIn+" is there already and is not opdbus' own: 10 bytes that somebody else wrote. Move it away")
	do(t, "rm", dropIn)
	for name, c := range map[string]struct{ text, says string }{
		"NetworkManager":   {"/run/NetworkManager/resolv.conf", "/etc/resolv.conf is written by NetworkManager, which opdbus cannot tell of servers. Set the servers in its connections"},
		"resolvconf":       {"/run/resolvconf/resolv.conf", "/etc/resolv.conf is written by resolvconf"},
		"a link elsewhere": {"/srv/resolv.conf", "/etc/resolv.conf is written by whoever writes /srv/resolv.conf"},
		"a generated file": {"# Generated by NetworkManager\nnameserver 192.0.2.1\n", "/etc/resolv.conf is written by NetworkManager"},
	} {
		t.Run("with "+name, func(t *testing.T) {
			put(t, c.text)
			refused(a, c.says)
			before := providertest.World(t, "/etc/resolv.conf")
			require.ErrorContains(t, o.apply(nil, a), "cannot set the resolver: /etc/resolv.conf is written by ")
			assert.Equal(t, before, providertest.World(t, "/etc/resolv.conf"))
		})
	}
	t.Run("with a plain file", func(t *testing.T) {
		put(t, "nameserver 192.0.2.1\n")
		refused(Resolver{Name: "global", DNSSEC: text("yes")}, "/etc/resolv.conf is a plain file, which knows no dnssec")
		refused(Resolver{Name: "global", Servers: []string{"192.0.2.1:5353"}}, "knows servers by their address only, and not 192.0.2.1:5353")
		refused(Resolver{Name: "global", Search: []string{"~x.example"}}, "only searches domains, and cannot have ~x.example")
	})
}

func TestOnMachinePlainFile(t *testing.T) {
	kinds := onMachine(t)
	o := on(t, kinds, "resolver", "global")
	a := Resolver{Name: "global", Servers: []string{"192.0.2.2", "192.0.2.1:53"}, Search: []string{"corp.example"}, Options: []string{"ndots:2", "rotate"}}
	b := Resolver{Name: "global", Servers: []string{"2001:db8::1"}, Search: []string{}, Options: []string{"edns0"}}
	content := func() string { return do(t, "cat", resolvConf) }

	t.Run("keeps the contract", func(t *testing.T) {
		put(t, "")
		providertest.Run(t, providertest.Suite{Kind: o.kind, Addr: o.addr, A: a, B: b, Bare: Resolver{Name: "global", Servers: a.Servers}, Dirs: []string{"/etc"}})
	})
	t.Run("goes back to what was found, byte for byte", func(t *testing.T) {
		const found = "# by hand\nnameserver 198.51.100.1\noptions rotate\nsortlist 198.51.100.0\nsearch old.example"
		put(t, found)
		want := Resolver{Name: "global", Servers: a.Servers, Search: a.Search}
		live, made := o.take(want)
		assert.Equal(t, []string{"198.51.100.1"}, live.(Resolver).Servers)
		assert.Equal(t, "# Written by opdbus, which puts back what is changed here by hand.\nnameserver 192.0.2.2\nnameserver 192.0.2.1\nsearch corp.example\n# by hand\noptions rotate\nsortlist 198.51.100.0", content())
		require.True(t, o.kind.Owns(made, o.read(made)))
		for range 2 { // as after a cut
			require.NoError(t, o.apply(made, live), "as a run that is taken back")
			assert.Equal(t, found, content())
		}
		st, err := os.Stat(resolvConf)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), st.Mode())
		assert.True(t, state.Same(live, o.read(live)))

		_, made = o.take(want)
		hears(t, o, made, "the file", func() { do(t, "sed", "-i", "s/192.0.2.2/192.0.2.3/; s/^options.*/options timeout:1/", resolvConf) })
		edited := o.read(made)
		assert.Equal(t, []string{"192.0.2.3", "192.0.2.1:53"}, edited.(Resolver).Servers)
		require.True(t, o.kind.Owns(made, edited))
		require.NoError(t, o.apply(edited, made))
		assert.Contains(t, content(), "options timeout:1", "what is not managed is left as somebody has edited it")
		require.NoError(t, o.apply(made, nil))
		assert.Equal(t, "nameserver 198.51.100.1\nsearch old.example\n# by hand\noptions timeout:1\nsortlist 198.51.100.0", content(), "and still when the rest goes back")
		assert.False(t, o.kind.Owns(made, o.read(made)))
	})
}
