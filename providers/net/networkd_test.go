package net

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// expanded is a node's objects, by their addresses in it, with its files in the order in which they come.
func expanded(t *testing.T, persist string, all ...state.Object) (objects map[string]state.Object, files []NetworkdFile, diags state.Diagnostics) {
	t.Helper()
	node := &state.Node{Addr: state.NodeAddr{Type: state.NetworkNode, Name: "lan"}, Self: Network{Persist: &persist}, Source: state.Range{File: "main.hcl"}}
	for _, o := range all {
		var name string
		switch o.(type) {
		case Link:
			name = "link"
		case Bridge:
			name = "bridge"
		case Port:
			name = "port"
		case Address:
			name = "address"
		case Route:
			name = "route"
		case Rule:
			name = "rule"
		case Sysctl:
			name = "sysctl"
		case WireGuard:
			name = "wireguard"
		}
		node.Objects = append(node.Objects, state.Declared{Addr: addr(name, o.Key()), Object: o})
	}
	for _, k := range kinds().Expanders(node.Addr) {
		diags = append(diags, k.Expand(t.Context(), &state.Config{}, node)...)
	}
	objects = map[string]state.Object{}
	for _, d := range node.Objects {
		objects[d.Addr.Local()] = d.Object
		if f, ok := d.Object.(NetworkdFile); ok {
			files = append(files, f)
		}
	}
	return objects, files, diags
}

// everyKind is a link of each kind, and whatever else may be in a node.
func everyKind() []state.Object {
	return []state.Object{
		Link{Name: "e0", Kind: existing, Master: p("bo0")},
		Link{Name: "e1", Kind: existing, MTU: p(9000), MAC: p("02:00:00:00:00:11")},
		Link{Name: "e2", Kind: existing},
		Link{Name: "e4", Kind: existing, Match: &Match{MAC: p("52:54:00:00:00:01"), Path: p("pci-0000:03:*")}, Addresses: []string{"10.2.0.1/24"}},
		Link{Name: "e3", Kind: existing, Master: p("ovsbr0"), Up: p(true)},
		Link{Name: "br0", Kind: "bridge", Addresses: []string{"10.0.0.1/24", "2001:db8::1/64"}, MTU: p(1000)},
		Link{Name: "v0", Kind: "veth", Peer: p("v1"), Master: p("br0")},
		Link{Name: "vlan7", Kind: "vlan", Parent: p("bo0"), VLANID: p(7), Up: p(false)},
		Link{Name: "vlan8", Kind: "vlan", Parent: p("elsewhere"), VLANID: p(8)},
		Link{Name: "vx0", Kind: "vxlan", VNI: p(5)},
		Link{Name: "vx1", Kind: "vxlan", VNI: p(6), Parent: p("bo0"), Local: p("10.0.0.1"), Remote: p("239.0.0.1"), Port: p(8472)},
		Link{Name: "bo0", Kind: "bond", Mode: p("active-backup")},
		Link{Name: "d0", Kind: "dummy", Master: p("vrf0")},
		Link{Name: "mv0", Kind: "macvlan", Parent: p("d0"), Mode: p("bridge"), Master: p("")},
		Link{Name: "tun0", Kind: "tun"},
		Link{Name: "tap0", Kind: "tap", MAC: p("02:00:00:00:00:12")},
		Link{Name: "vrf0", Kind: "vrf", Table: p(100)},
		Link{Name: "ifb7", Kind: "ifb"},
		Bridge{Name: "ovsbr0", Addresses: []string{"10.1.0.1/24"}},
		Bridge{Name: "br1", Driver: p("kernel"), Ports: []string{"e9"}},
		Port{Name: "in0", Bridge: "ovsbr0", Type: p("internal"), Addresses: []string{"10.1.0.100/24"}},
		Port{Name: "in1", Bridge: "ovsbr0", Type: p("internal"), Netns: p("blue"), Addresses: []string{"10.1.0.101/24"}},
		Port{Name: "e3", Bridge: "ovsbr0"},
		WireGuard{Name: "wg0", PrivateKeyFile: "/etc/wireguard/wg0.key", Addresses: []string{"10.9.0.1/24"}},
		Route{Name: "default", Destination: "0.0.0.0/0", Via: p("10.0.0.2"), Link: p("br0"), Metric: p(50), Source: p("10.0.0.1")},
		Route{Name: "lab", Destination: "192.0.2.0/24", Via: p("10.0.0.2"), Table: p(100)},
		Route{Name: "six", Destination: "default", Via: p("2001:db8::2"), Link: p("br0"), OnLink: p(true)},
		Route{Name: "hole", Destination: "198.18.0.0/15", Type: p("blackhole")},
		Route{Name: "elsewhere", Destination: "198.51.100.0/24", Via: p("203.0.113.9")},
		Route{Name: "wg", Destination: "198.51.101.0/24", Link: p("wg0")},
		Rule{Name: "mark", Priority: 100, FwMark: p(7), Table: p(100)},
		Rule{Name: "all", Priority: 101, From: p("10.0.0.0/24"), To: p("192.0.2.0/24"), IIF: p("br0"), OIF: p("v0"), FwMark: p(8), FwMask: p(15), Table: p(100)},
		Rule{Name: "six", Priority: 102, Family: p("ipv6"), Table: p(100)},
		Rule{Name: "drop", Priority: 103, Type: p("blackhole")},
		Sysctl{Name: "net.ipv6.conf.in0.disable_ipv6", Value: "1"},
		Sysctl{Name: "net.ipv6.conf.br0.forwarding", Value: "1"},
	}
}

// The files that every kind comes to are those in testdata; UPDATE=1 writes them anew.
func TestNetworkdFiles(t *testing.T) {
	objects, files, diags := expanded(t, persistNetworkd, everyKind()...)
	require.Empty(t, diags)
	var b strings.Builder
	for _, f := range files {
		b.WriteString("==> " + f.Name + "\n" + f.Text + "\n")
	}
	golden := filepath.Join("testdata", "networkd.golden")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String(), "UPDATE=1 writes it anew")

	t.Run("what networkd may make is known by that", func(t *testing.T) {
		assert.True(t, objects[`link["br0"]`].(Link).Networkd)
		assert.False(t, objects[`link["vlan8"]`].(Link).Networkd, "its parent is not the node's")
		assert.False(t, objects[`link["e1"]`].(Link).Networkd)
		assert.True(t, objects[`rule["mark"]`].(Rule).Networkd)
		assert.False(t, objects[`rule["drop"]`].(Rule).Networkd)
	})
	t.Run("without persist there are none", func(t *testing.T) {
		node := &state.Node{Addr: state.NodeAddr{Type: state.NetworkNode, Name: "lan"}, Self: Network{}, Objects: []state.Declared{{Addr: addr("link", "x0"), Object: Link{Name: "x0", Kind: "bridge"}}}}
		require.Empty(t, kinds().ForNode(state.NetworkNode).Expand(t.Context(), &state.Config{}, node))
		require.Len(t, node.Objects, 1)
		assert.False(t, node.Objects[0].Object.(Link).Networkd)
	})
	t.Run("a way to persist that there is not", func(t *testing.T) {
		_, files, diags := expanded(t, "netplan", everyKind()...)
		require.Len(t, diags, 1)
		assert.Empty(t, files)
		assert.Contains(t, diags[0].Detail, `"netplan" is none. It is "networkd"`)
		assert.Equal(t, "main.hcl", diags[0].Subject.File)
	})
	t.Run("a name that would be a pattern", func(t *testing.T) {
		for name, fine := range map[string]bool{"a*": false, "!a": false, "[a]": false, "12": false, "all": false, "eth0.100": true, "br-lan": true} {
			_, _, diags := expanded(t, persistNetworkd, Link{Name: name, Kind: "bridge"})
			assert.Equal(t, fine, len(diags) == 0, name)
		}
	})
}

// A file is one of opdbus' like any other, below a root too, and what somebody else wrote is left.
func TestNetworkdSuite(t *testing.T) {
	host := providertest.Host(t)
	at := addr(persistNetworkd, "network/10-opdbus-br0.network")
	kind := Kinds(host, nil).For(at)
	a := NetworkdFile{Name: at.Key, Text: "[Match]\nName=br0\n", Parents: []string{"/etc/systemd", "/etc/systemd/network"}}
	b := a
	b.Text += "\n[Link]\nMTUBytes=1400\n"
	providertest.Run(t, providertest.Suite{Kind: kind, Site: providertest.Site(t, host, at.Node), Addr: at, A: a, B: b, Dirs: []string{host.Path("/etc")}})

	providertest.Write(t, host.Path(a.path()), "[Match]\nName=*\n")
	lives, err := kind.Read(t.Context(), []state.Addr{at}, []state.Object{a})
	require.NoError(t, err)
	_, err = kind.Claim(a, lives[0])
	assert.ErrorContains(t, err, "/etc/systemd/network/10-opdbus-br0.network is not opdbus' own to write: 15 bytes that somebody else wrote")
	require.Error(t, kind.Apply(t.Context(), state.Site{}, []state.Change{{Addr: at, After: a}}))
	listed, _, err := kind.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, listed, 1)
}

// What networkd made by a file of opdbus' has no mark. It counts as opdbus' own as long as it is just as that would have made it, and gets the mark
// when networkd is to make it no longer.
func TestNetworkdOwned(t *testing.T) {
	own := func(kind string, made, live state.Object) bool { return kinds().For(addr(kind, "x")).Owns(made, live) }
	t.Run("links", func(t *testing.T) {
		ip(t, "link", "add", "x0", "type", "bridge")
		clean(t, "x0")
		want, by := Link{Name: "x0", Kind: "bridge"}, Link{Name: "x0", Kind: "bridge", Networkd: true}
		assert.False(t, own("link", want, read(t, "link", want)))
		require.Error(t, apply(t, "link", nil, want))
		assert.True(t, own("link", by, read(t, "link", by)))
		assert.False(t, own("link", Link{Name: "x0", Kind: "vrf", Table: p(5), Networkd: true}, read(t, "link", by)))
		assert.False(t, own("link", nil, read(t, "link", by)))

		items := []state.PlannedObject{{Addr: addr("link", "x0"), Made: by, Live: read(t, "link", want), Want: want}}
		require.NoError(t, kinds().For(addr("link", "x0")).Plan(t.Context(), items))
		live := read(t, "link", items[0].Want)
		assert.False(t, state.Same(live, items[0].Want), "it lacks the mark")
		require.NoError(t, apply(t, "link", live, items[0].Want))
		assert.Contains(t, ip(t, "link", "show", "x0"), "alias opdbus")
		assert.True(t, state.Same(read(t, "link", items[0].Want), items[0].Want))

		ip(t, "link", "set", "x0", "alias", "")
		require.NoError(t, apply(t, "link", want, nil))
		assert.Contains(t, ip(t, "link"), "x0", "somebody else's")
		require.NoError(t, apply(t, "link", by, nil))
		assert.NotContains(t, ip(t, "link"), "x0")
	})
	t.Run("rules", func(t *testing.T) {
		add := func(protocol string) {
			ip(t, "rule", "add", "priority", "100", "fwmark", "7", "from", "192.0.2.0/24", "iif", "x9", "table", "1000", "protocol", protocol)
		}
		want := Rule{Name: "x", Priority: 100, FwMark: p(7), From: p("192.0.2.0/24"), IIF: p("x9"), Table: p(1000)}
		by := want
		by.Networkd = true
		add("static")
		assert.False(t, own("rule", want, read(t, "rule", want)))
		assert.True(t, own("rule", by, read(t, "rule", by)))
		items := []state.PlannedObject{{Addr: addr("rule", "x"), Made: by, Live: read(t, "rule", want), Want: want}}
		require.NoError(t, kinds().For(addr("rule", "x")).Plan(t.Context(), items))
		live := read(t, "rule", items[0].Want)
		assert.False(t, state.Same(live, items[0].Want), "it lacks the mark")
		require.NoError(t, apply(t, "rule", live, items[0].Want))
		assert.Equal(t, "100:\tfrom 192.0.2.0/24 fwmark 0x7 iif x9 [detached] lookup 1000 proto 111", strings.TrimSpace(ip(t, "rule", "show", "priority", "100")))
		assert.True(t, own("rule", want, read(t, "rule", want)))
		require.NoError(t, apply(t, "rule", want, nil))
		assert.Empty(t, ip(t, "rule", "show", "priority", "100"))

		add("static")
		require.NoError(t, apply(t, "rule", want, nil))
		assert.NotEmpty(t, ip(t, "rule", "show", "priority", "100"), "somebody else's")
		require.NoError(t, apply(t, "rule", by, nil))
		assert.Empty(t, ip(t, "rule", "show", "priority", "100"))
		require.NoError(t, apply(t, "rule", nil, want))
		live = read(t, "rule", by)
		assert.False(t, state.Same(live, by), "networkd would add another")
		require.NoError(t, apply(t, "rule", live, by))
		assert.Contains(t, ip(t, "rule", "show", "priority", "100"), "proto static")
		require.NoError(t, apply(t, "rule", by, nil))
		assert.Empty(t, ip(t, "rule", "show", "priority", "100"))
		add("boot")
		require.NoError(t, apply(t, "rule", by, nil))
		assert.NotEmpty(t, ip(t, "rule", "show", "priority", "100"), "networkd's are static")
		ip(t, "rule", "del", "priority", "100")
	})
}
