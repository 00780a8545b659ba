package net

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/wireguard"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// within says that the process has a network of its own.
const within = "OPDBUS_NET_TEST"

// TestMain runs the tests in a network namespace that goes with them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wireguard.Command { // which a unit runs, as it does opdbus
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := wireguard.Serve(ctx, os.Args[2:], os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(within) != "" || machine.Inside() || os.Getuid() != 0 {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), within+"=1", fmt.Sprintf("%s=/proc/%d/ns/net", machine.NetworkVariable, os.Getpid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// ip runs ip(8).
func ip(t testing.TB, args ...string) string {
	t.Helper()
	return ipBatch(t, "", args...)
}

func ipBatch(t testing.TB, batch string, args ...string) string {
	t.Helper()
	if os.Getenv(within) == "" && !machine.Inside() {
		snapshottest.Lack(t, "a network namespace takes root")
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(batch)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "ip %v: %s", args, out)
	return string(out)
}

// changing is what of the network changes by itself.
var changing = regexp.MustCompile(`(?m)^\d+: |@if\d+|link-netnsid \d+ |gso_\S+ \d+ |gro_\S+ \d+ |tso_\S+ \d+ |\w+_timer +[\d.]+ |valid_lft.*|state \S+ |qlen \d+|qdisc \S+ |NO-CARRIER,|,LOWER_UP|LOWER_UP`)

// world is the network as ip(8) tells it, without numbers and what the kernel adds by itself.
func world(t testing.TB) string {
	t.Helper()
	// As few processes as can be: on an emulated machine each takes its time.
	all := ipBatch(t, "addr\nroute show table all\nrule\n", "-d", "-batch", "-") + ipBatch(t, "rule\n", "-6", "-batch", "-")
	all = changing.ReplaceAllString(all, "")
	var lines []string
	for _, line := range strings.Split(all, "\n") {
		if !strings.Contains(line, "fe80::") && !strings.Contains(line, "ff00::/8") && !strings.Contains(line, "multicast ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// clean has the links gone that a test makes.
func clean(t testing.TB, names ...string) {
	t.Helper()
	t.Cleanup(func() {
		for _, name := range names {
			_ = exec.Command("ip", "link", "del", name).Run()
		}
	})
}

// withoutNamespace deletes a network namespace, and waits until the links have gone whose other ends were in it: the kernel takes its time.
func withoutNamespace(t testing.TB, name string, links ...string) {
	t.Helper()
	_ = exec.Command("ip", "netns", "del", name).Run()
	for _, link := range links {
		for end := time.Now().Add(10 * time.Second); exec.Command("ip", "link", "show", link).Run() == nil; time.Sleep(10 * time.Millisecond) {
			require.True(t, time.Now().Before(end), "link %s stays", link)
		}
	}
}

func kinds() state.Kinds { return Kinds(state.Host{}, sysbus.New("")) }

func addr(kind, key string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.NetworkNode, Name: "lan"}, Kind: kind, Key: key}
}

func suite(t *testing.T, kind string, a, b, bare state.Object) providertest.Suite {
	at := addr(kind, a.Key())
	return providertest.Suite{Kind: kinds().For(at), Addr: at, A: a, B: b, Bare: bare, Also: func() string { return world(t) }}
}

func p[T any](v T) *T { return &v }

func apply(t *testing.T, kind string, before, after state.Object) error {
	t.Helper()
	o := after
	if o == nil {
		o = before
	}
	at := addr(kind, o.Key())
	return kinds().For(at).Apply(t.Context(), state.Site{}, []state.Change{{Addr: at, Before: before, After: after}})
}

func read(t *testing.T, kind string, want state.Object) state.Object {
	t.Helper()
	at := addr(kind, want.Key())
	lives, err := kinds().For(at).Read(t.Context(), []state.Addr{at}, []state.Object{want})
	require.NoError(t, err)
	return lives[0]
}

func TestSuites(t *testing.T) {
	t.Run("links", func(t *testing.T) {
		ip(t, "link", "add", "b9", "address", "02:00:00:00:00:99", "type", "bridge")
		clean(t, "b9")
		for kind, l := range map[string]Link{
			"bridge": {}, "veth": {Peer: p("x1")}, "ifb": {}, "tap": {}, "tun": {},
			"vxlan":   {VNI: p(7), Remote: p("10.9.0.2"), Port: p(4790)},
			"macvlan": {Parent: p("b9"), Mode: p("bridge")},
		} {
			t.Run(kind, func(t *testing.T) {
				clean(t, "x0")
				l.Name, l.Kind = "x0", kind
				a, b := l, l
				a.MTU, b.MTU = p(1400), p(1300)
				a.Up, b.Up = p(true), p(false)
				if kind != "tun" && kind != "macvlan" {
					a.MAC, b.MAC, a.Master, b.Master = p("02:00:00:00:00:01"), p("02:00:00:00:00:02"), p(""), p("b9")
				}
				if kind == "ifb" {
					a.MAC, b.MAC = nil, nil
				}
				if kind == "bridge" || kind == "ifb" {
					a.Master, b.Master = nil, nil
				}
				providertest.Run(t, suite(t, "link", a, b, l))
			})
		}
	})
	t.Run("a link that is there", func(t *testing.T) {
		ip(t, "link", "add", "e0", "address", "02:00:00:00:00:98", "mtu", "1450", "type", "bridge")
		clean(t, "e0")
		a := Link{Name: "e0", Kind: existing, MTU: p(1400), Up: p(true)}
		b := a
		b.MTU, b.Up = p(1300), p(false)
		s := suite(t, "link", a, b, Link{Name: "e0", Kind: existing})
		s.Found = Link{Name: "e0", Kind: existing, MTU: p(1450), Up: p(false)}
		providertest.Run(t, s)
	})
	ip(t, "link", "add", "n0", "type", "bridge")
	ip(t, "link", "set", "n0", "up")
	ip(t, "link", "set", "lo", "up")
	ip(t, "addr", "add", "192.0.2.9/24", "dev", "n0")
	ip(t, "-6", "addr", "add", "2001:db8::9/64", "dev", "n0", "nodad")
	clean(t, "n0")
	t.Run("addresses", func(t *testing.T) {
		for _, text := range []string{"10.0.0.%d/24", "192.0.2.%d/24", "2001:db8::%d/64"} {
			providertest.Run(t, suite(t, "address", Address{Name: "x", Link: "n0", Address: fmt.Sprintf(text, 1)}, Address{Name: "x", Link: "n0", Address: fmt.Sprintf(text, 2)}, nil))
		}
	})
	t.Run("routes", func(t *testing.T) {
		for name, of := range map[string][2]Route{
			"default":           {{Destination: "default", Via: p("192.0.2.1")}, {Destination: "0.0.0.0/0", Via: p("192.0.2.2"), Link: p("n0")}},
			"other destination": {{Destination: "10.1.0.0/16", Link: p("n0")}, {Destination: "10.2.0.0/16", Link: p("n0"), Source: p("192.0.2.9")}},
			"less of it":        {{Destination: "10.2.0.0/16", Via: p("192.0.2.1"), Source: p("192.0.2.9")}, {Destination: "10.2.0.0/16", Via: p("192.0.2.1")}},
			"tables":            {{Destination: "10.1.0.0/16", Via: p("192.0.2.1"), Table: p(100), Metric: p(5)}, {Destination: "10.1.0.0/16", Via: p("192.0.2.1"), Table: p(101), Metric: p(6)}},
			"not on a network":  {{Destination: "10.1.2.3", Via: p("203.0.113.1"), Link: p("n0"), OnLink: p(true)}, {Destination: "10.1.2.3", Type: p("blackhole")}},
			"ipv6":              {{Destination: "default", Via: p("2001:db8::1")}, {Destination: "::/0", Via: p("2001:db8::2"), Link: p("n0")}},
			"ipv6 nowhere":      {{Destination: "2001:db8:1::/48", Type: p("unreachable")}, {Destination: "2001:db8:1::/48", Via: p("2001:db8::1"), Metric: p(9)}},
		} {
			t.Run(name, func(t *testing.T) {
				of[0].Name, of[1].Name = "r", "r"
				providertest.Run(t, suite(t, "route", of[0], of[1], nil))
			})
		}
	})
	t.Run("rules", func(t *testing.T) {
		for name, of := range map[string][2]Rule{
			"marks":    {{Priority: 100, FwMark: p(7), Table: p(100)}, {Priority: 100, FwMark: p(7), FwMask: p(15), Table: p(100)}},
			"networks": {{Priority: 100, From: p("10.0.0.0/8"), Table: p(100)}, {Priority: 101, To: p("10.0.0.1"), Type: p("prohibit")}},
			"ipv6":     {{Priority: 100, From: p("2001:db8::/32"), IIF: p("n0"), Table: p(300)}, {Priority: 100, Family: p("ipv6"), OIF: p("n0"), Table: p(300)}},
		} {
			t.Run(name, func(t *testing.T) {
				of[0].Name, of[1].Name = "r", "r"
				providertest.Run(t, suite(t, "rule", of[0], of[1], nil))
			})
		}
	})
	t.Run("sysctls", func(t *testing.T) {
		file := "/proc/sys/net/ipv4/conf/n0/rp_filter"
		s := suite(t, "sysctl", Sysctl{Name: "net.ipv4.conf.n0.rp_filter", Value: "1"}, Sysctl{Name: "net.ipv4.conf.n0.rp_filter", Value: "2"}, nil)
		s.Found = Sysctl{Name: "net.ipv4.conf.n0.rp_filter", Value: "0"}
		s.Also = func() string {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			return string(content)
		}
		providertest.Run(t, s)
	})
}

func TestSomebodyElses(t *testing.T) {
	ip(t, "link", "add", "s0", "type", "bridge")
	ip(t, "link", "set", "s0", "up")
	ip(t, "addr", "add", "192.0.2.9/24", "dev", "s0")
	ip(t, "route", "add", "default", "via", "192.0.2.1", "proto", "dhcp")
	ip(t, "route", "add", "10.1.0.0/16", "via", "192.0.2.1")
	ip(t, "rule", "add", "priority", "100", "fwmark", "1", "table", "100")
	clean(t, "s0")
	t.Cleanup(func() { ip(t, "rule", "del", "priority", "100") })
	before := world(t)

	t.Run("is neither changed nor deleted", func(t *testing.T) {
		require.Error(t, apply(t, "link", nil, Link{Name: "s0", Kind: "bridge", MTU: p(1300)}))
		require.NoError(t, apply(t, "link", Link{Name: "s0", Kind: "bridge"}, nil))
		require.NoError(t, apply(t, "route", Route{Name: "r", Destination: "default", Via: p("192.0.2.1")}, nil))
		require.NoError(t, apply(t, "rule", Rule{Name: "r", Priority: 100, FwMark: p(1), Table: p(100)}, nil))
		require.NoError(t, apply(t, "address", Address{Name: "a", Link: "s0", Address: "192.0.2.9/24", Found: true}, nil))
		assert.Equal(t, before, world(t))
	})
	t.Run("is a conflict, with the remedy", func(t *testing.T) {
		for kind, c := range map[string]struct {
			want state.Object
			says string
		}{
			"link":  {Link{Name: "s0", Kind: "bridge"}, `give yours another name, or declare that one with kind = "existing"`},
			"route": {Route{Name: "r", Destination: "10.1.0.0/16", Link: p("s1")}, "set another metric"},
		} {
			live := read(t, kind, c.want)
			require.NotNil(t, live)
			_, err := kinds().For(addr(kind, "")).Claim(c.want, live)
			require.ErrorContains(t, err, c.says)
		}
	})
	t.Run("makes room on the same link, and comes back as it was", func(t *testing.T) {
		want := Route{Name: "r", Destination: "default", Via: p("192.0.2.2"), Link: p("s0")}
		claimed, err := kinds().For(addr("route", "")).Claim(want, read(t, "route", want))
		require.NoError(t, err)
		require.NoError(t, apply(t, "route", nil, claimed))
		assert.Contains(t, ip(t, "route"), "default via 192.0.2.2 dev s0 proto 111")
		require.NoError(t, apply(t, "route", claimed, nil))
		assert.Equal(t, before, world(t))
	})
}

func TestLink(t *testing.T) {
	clean(t, "v0")
	t.Run("that was not finished when power was cut is begun anew", func(t *testing.T) {
		l := Link{Name: "v0", Kind: "veth", Peer: p("v1")}
		before := world(t)
		ip(t, "link", "add", unfinished("v0"), "type", "veth", "peer", "name", "v1")
		require.NoError(t, apply(t, "link", l, nil), "is taken back")
		assert.Equal(t, before, world(t))
		ip(t, "link", "add", unfinished("v0"), "type", "bridge")
		ip(t, "link", "add", unfinished("v1"), "type", "bridge")
		require.NoError(t, apply(t, "link", nil, l))
		assert.True(t, l.Same(read(t, "link", l)))
		assert.NotContains(t, world(t), "opdbus0")
		require.NoError(t, apply(t, "link", l, nil))
		assert.Equal(t, before, world(t))
	})
	t.Run("pairs of which both ends are declared are made once", func(t *testing.T) {
		a, b := Link{Name: "v0", Kind: "veth", Peer: p("v1")}, Link{Name: "v1", Kind: "veth", Peer: p("v0"), MTU: p(1300)}
		require.NoError(t, apply(t, "link", nil, a))
		require.NoError(t, apply(t, "link", nil, b))
		assert.True(t, a.Same(read(t, "link", a)))
		assert.True(t, b.Same(read(t, "link", b)))
		require.NoError(t, apply(t, "link", b, nil))
		require.NoError(t, apply(t, "link", a, nil))
	})
	t.Run("of a kind that this kernel lacks says so, and one that it has is made", func(t *testing.T) {
		ip(t, "link", "add", "v2", "up", "type", "bridge")
		clean(t, "v2")
		for kind, of := range map[string]struct {
			link   Link
			module string
			try    string
		}{
			"dummy": {Link{}, "dummy", ""},
			"bond":  {Link{}, "bonding", ""},
			"vlan":  {Link{Parent: p("v2"), VLANID: p(7)}, "8021q", "id 8"},
			"vrf":   {Link{Table: p(100)}, "vrf", "table 101"},
		} {
			l := of.link
			l.Name, l.Kind = "d0", kind
			clean(t, "d0", "d1")
			before := world(t)
			err := apply(t, "link", nil, l)
			if exec.Command("ip", strings.Fields("link add d1 link v2 type "+kind+" "+of.try)...).Run() == nil {
				require.NoError(t, err)
				assert.True(t, l.Same(read(t, "link", l)))
				require.NoError(t, apply(t, "link", l, nil))
				ip(t, "link", "del", "d1")
				continue
			}
			require.ErrorContains(t, err, "cannot make link d0: operation not supported: this kernel has no links of kind "+kind+", and no module "+of.module+" for them")
			assert.Equal(t, before, world(t))
		}
	})
}

func TestChecks(t *testing.T) {
	for want, o := range map[string]state.Checked{
		"":                                          Link{Name: "v0", Kind: "bridge", Addresses: []string{"10.0.0.1/24", "fe80::1/64"}},
		"Invalid name of a link":                    Link{Name: "a name that is long", Kind: "bridge"},
		"kind Unknown kind of link":                 Link{Name: "v0", Kind: "birdge"},
		"Missing peer":                              Link{Name: "v0", Kind: "veth"},
		"vlan_id Unsupported attribute":             Link{Name: "v0", Kind: "bridge", VLANID: p(1)},
		"vlan_id Invalid vlan_id":                   Link{Name: "v0", Kind: "vlan", Parent: p("e"), VLANID: p(4095)},
		"mac Invalid MAC address":                   Link{Name: "v0", Kind: "bridge", MAC: p("01:00:00:00:00:01")},
		"mode Unknown mode":                         Link{Name: "v0", Kind: "bond", Mode: p("fast")},
		"addresses Invalid address":                 Link{Name: "v0", Kind: "bridge", Addresses: []string{"10.0.0.1"}},
		"address Invalid address":                   Address{Name: "a", Link: "v0", Address: "10.0.0.256/24"},
		"destination Invalid destination":           Route{Name: "r", Destination: "10.0.0.1/8", Via: p("10.0.0.1")},
		"via Invalid address":                       Route{Name: "r", Destination: "10.0.0.0/8", Via: p("fe80::1")},
		"A route that leads nowhere":                Route{Name: "r", Destination: "10.0.0.0/8"},
		"table Invalid table":                       Route{Name: "r", Destination: "10.0.0.0/8", Link: p("v0"), Table: p(255)},
		"priority Invalid priority":                 Rule{Name: "r", Table: p(1)},
		"Missing table":                             Rule{Name: "r", Priority: 5},
		"to Invalid network":                        Rule{Name: "r", Priority: 5, Table: p(1), To: p("default")},
		"fwmark Invalid fwmark":                     Rule{Name: "r", Priority: 5, Table: p(1), FwMark: p(0)},
		"Invalid name of a sysctl":                  Sysctl{Name: "net/../kernel", Value: "1"},
		"value Invalid value of a sysctl":           Sysctl{Name: "net.ipv4.ip_forward", Value: "1\n2"},
		"family Invalid family":                     Rule{Name: "r", Priority: 5, Table: p(1), From: p("10.0.0.0/8"), Family: p("ipv6")},
		"onlink Unsupported attribute":              Route{Name: "r", Destination: "10.0.0.0/8", Link: p("v0"), OnLink: p(true)},
		"type A route that leads nowhere":           Route{Name: "r", Destination: "10.0.0.0/8", Link: p("v0"), Type: p("blackhole")},
		"master Invalid name of a link":             Link{Name: "v0", Kind: "tap", Master: p("v0")},
		"type Unknown type of rule":                 Rule{Name: "r", Priority: 5, Type: p("drop")},
		"fwmask Unsupported attribute":              Rule{Name: "r", Priority: 5, Table: p(1), FwMask: p(1)},
		"local Invalid address":                     Link{Name: "v0", Kind: "vxlan", VNI: p(1), Local: p("here")},
		"type Unknown type of route":                Route{Name: "r", Destination: "10.0.0.0/8", Via: p("10.0.0.1"), Type: p("drop")},
		"from Invalid network":                      Rule{Name: "r", Priority: 5, Table: p(1), From: p("10.0.0.1/8")},
		"iif Invalid name of a link":                Rule{Name: "r", Priority: 5, Table: p(1), IIF: p("a b")},
		"metric Invalid metric":                     Route{Name: "r", Destination: "10.0.0.0/8", Via: p("10.0.0.1"), Metric: p(-1)},
		"peer Invalid name of a link":               Link{Name: "v0", Kind: "veth", Peer: p("v0")},
		"table Unsupported attribute":               Rule{Name: "r", Priority: 5, Table: p(1), Type: p("blackhole")},
		"source Invalid address":                    Route{Name: "r", Destination: "10.0.0.0/8", Via: p("10.0.0.1"), Source: p("me")},
		"link Invalid name of a link":               Address{Name: "a", Link: "", Address: "10.0.0.1/24"},
		"match Empty match":                         Link{Name: "v0", Kind: existing, Match: &Match{}},
		"match Invalid MAC address":                 matched("v0", "02:00"),
		"match Invalid path":                        Link{Name: "v0", Kind: existing, Match: &Match{Path: p("[")}},
		"match Unsupported attribute":               Link{Name: "v0", Kind: "bridge", Match: &Match{Path: p("pci-*")}},
		"netns Unsupported attribute":               Port{Name: "v0", Bridge: "o0", Netns: p("blue")},
		"netns Invalid name of a network namespace": Address{Name: "a", Link: "v0", Address: "10.0.0.1/24", Netns: p("../blue")},
	} {
		var found []string
		o.Check(func(attr, summary, _ string) { found = append(found, strings.TrimSpace(attr+" "+summary)) })
		assert.Equal(t, want, strings.Join(found, "; "), "%+v", o)
	}
}
