package net

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/wgkey"
)

// newKey writes a new private key, and tells its public one.
func newKey(t testing.TB, file string) (public string) {
	t.Helper()
	k, err := wgkey.New()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(file))
	require.NoError(t, wgkey.Write(file, k))
	public, err = k.Public()
	require.NoError(t, err)
	return public
}

// publicKey is one that somebody else has.
func publicKey(n byte) string {
	return base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{n}, wgkey.Size-1), 1))
}

func TestWireGuardChecks(t *testing.T) {
	one, two := publicKey(1), publicKey(2)
	file := "/etc/wireguard/wg0.key"
	with := func(peers ...Peer) WireGuard { return WireGuard{Name: "wg0", PrivateKeyFile: file, Peers: peers} }
	for want, w := range map[string]WireGuard{
		"": {Name: "wg0", PrivateKeyFile: file, ListenPort: p(51820), FwMark: p(0), MTU: p(1420), Addresses: []string{"10.99.0.1/24"}, DeclaredKey: &one,
			Peers: []Peer{{Name: "a", PublicKey: one, AllowedIPs: []string{"10.99.0.2/32", "::/0"}, Endpoint: p("[2001:db8::1]:51820"), Keepalive: p(25)}, {Name: "b", PublicKey: two, Endpoint: p("vpn.example.org:51820")}}},
		"Invalid name of a link":                 {Name: "a name that is long", PrivateKeyFile: file},
		"private_key_file Invalid path of a key": {Name: "wg0", PrivateKeyFile: "wg0.key"},
		"listen_port Invalid listen_port":        {Name: "wg0", PrivateKeyFile: file, ListenPort: p(0)},
		"fwmark Invalid fwmark":                  {Name: "wg0", PrivateKeyFile: file, FwMark: p(-1)},
		"mtu Invalid mtu":                        {Name: "wg0", PrivateKeyFile: file, MTU: p(100)},
		"public_key Invalid public key":          {Name: "wg0", PrivateKeyFile: file, DeclaredKey: p("x")},
		"addresses Invalid address":              {Name: "wg0", PrivateKeyFile: file, Addresses: []string{"10.99.0.1"}},
		`peer["b"].public_key Duplicate peer`:    with(Peer{Name: "a", PublicKey: one}, Peer{Name: "b", PublicKey: one}),
		`peer Duplicate peer; peer["a"].allowed_ips Network of two peers`: with(Peer{Name: "a", PublicKey: one, AllowedIPs: []string{"10.0.0.0/8"}},
			Peer{Name: "a", PublicKey: two, AllowedIPs: []string{"10.0.0.0/8"}}),
		`peer["a"].public_key Invalid public key`:            with(Peer{Name: "a", PublicKey: "x"}),
		`peer["a"].endpoint Invalid endpoint`:                with(Peer{Name: "a", PublicKey: one, Endpoint: p("vpn.example.org")}),
		`peer["a"].keepalive Invalid keepalive`:              with(Peer{Name: "a", PublicKey: one, Keepalive: p(1 << 16)}),
		`peer["a"].allowed_ips Invalid network`:              with(Peer{Name: "a", PublicKey: one, AllowedIPs: []string{"10.0.0.1/8"}}),
		`peer["a"].preshared_key_file Invalid path of a key`: with(Peer{Name: "a", PublicKey: one, PresharedKeyFile: p("psk")}),
	} {
		var found []string
		w.Check(func(attr, summary, _ string) { found = append(found, strings.TrimSpace(attr+" "+summary)) })
		assert.Equal(t, want, strings.Join(found, "; "), "%+v", w)
	}
}

func TestWireGuardPlan(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "wg0.key")
	k := keys{func() ([]byte, error) { return []byte("the host's key"), nil }}
	want := WireGuard{Name: "wg0", PrivateKeyFile: file}
	kind := state.KindOf[WireGuard]("net", "wireguard", &wireguards{keys: k})
	plan := func() error {
		return kind.Plan(t.Context(), []state.PlannedObject{{Addr: addr("wireguard", "wg0"), Want: want}})
	}
	t.Run("without the private key says how one is made", func(t *testing.T) {
		require.EqualError(t, plan(), "there is no "+file+"; opdbus wg genkey "+file+" makes it")
	})
	public := newKey(t, file)
	t.Run("of a key that others can read is refused", func(t *testing.T) {
		require.NoError(t, os.Chmod(file, 0o644))
		require.ErrorContains(t, plan(), "can be read or written by others (mode 0644): chmod 600 "+file)
		require.NoError(t, os.Chmod(file, 0o600))
		require.NoError(t, plan())
	})
	t.Run("of another key than is declared, or with oneself as a peer, is refused", func(t *testing.T) {
		want.DeclaredKey = p(publicKey(1))
		require.ErrorContains(t, plan(), "has the public key "+public+", and public_key says "+publicKey(1))
		want.DeclaredKey = nil
		want.Peers = []Peer{{Name: "me", PublicKey: public}}
		require.ErrorContains(t, plan(), `peer "me" has the interface's own public key`)
	})
	t.Run("completes a copy: the configuration stays as it is", func(t *testing.T) {
		shared := filepath.Join(dir, "psk")
		newKey(t, shared)
		want.Peers = []Peer{{Name: "a", PublicKey: publicKey(1), PresharedKeyFile: &shared}}
		items := []state.PlannedObject{{Addr: addr("wireguard", "wg0"), Want: want}}
		require.NoError(t, kind.Plan(t.Context(), items))
		full := items[0].Want.(WireGuard)
		assert.Equal(t, public, *full.PublicKey)
		assert.Regexp(t, "^hmac-sha256:[0-9a-f]{64}$", *full.Peers[0].PresharedKey)
		assert.Nil(t, want.Peers[0].PresharedKey)
	})
}

func TestAllowed(t *testing.T) {
	nets := func(all ...string) (list []net.IPNet) {
		for _, text := range all {
			_, n, err := net.ParseCIDR(text)
			require.NoError(t, err)
			list = append(list, *n)
		}
		return list
	}
	for _, c := range []struct {
		live, want []string
		add        []string
		replace    bool
	}{
		{nil, []string{"10.0.0.0/8"}, []string{"10.0.0.0/8"}, false},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.0/8"}, nil, false},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.0/8", "::/0"}, []string{"::/0"}, false},
		{[]string{"10.0.0.0/8", "::/0"}, []string{"::/0"}, []string{"::/0"}, true},
		{[]string{"10.0.0.0/8"}, nil, nil, true},
	} {
		add, replace := allowed(nets(c.live...), c.want)
		assert.Equal(t, nets(c.add...), add, "%+v", c)
		assert.Equal(t, c.replace, replace, "%+v", c)
	}
}

// onMachine is the kinds on a machine.
func onMachine(t *testing.T) state.Kinds {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on a machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	return Kinds(state.Host{Key: func() ([]byte, error) { return []byte("the host's key"), nil }}, bus)
}

// wireguardWorld is what there is of WireGuard on the machine, keys included.
func wireguardWorld(t *testing.T) string {
	t.Helper()
	client, err := wgctrl.New()
	require.NoError(t, err)
	defer client.Close()
	devices, err := client.Devices()
	require.NoError(t, err)
	var b strings.Builder
	text := func(v any) string { return fmt.Sprint(v) }
	for _, d := range devices {
		slices.SortFunc(d.Peers, func(a, b wgtypes.Peer) int { return strings.Compare(text(a.PublicKey), text(b.PublicKey)) })
		fmt.Fprintf(&b, "%s %x port %d mark %d\n", d.Name, d.PrivateKey[:], d.ListenPort, d.FirewallMark)
		for _, p := range d.Peers {
			fmt.Fprintf(&b, "  %s %x %v %s\n", p.PublicKey, p.PresharedKey[:], p.Endpoint, p.PersistentKeepaliveInterval)
			slices.SortFunc(p.AllowedIPs, func(a, b net.IPNet) int { return strings.Compare(a.String(), b.String()) })
			for _, n := range p.AllowedIPs {
				fmt.Fprintf(&b, "    %s\n", &n)
			}
		}
	}
	units, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", "opdbus-wireguard-*").CombinedOutput()
	require.NoError(t, err, "%s", units)
	return b.String() + string(units) + world(t)
}

func TestOnMachineWireGuard(t *testing.T) {
	kinds := onMachine(t)
	at := addr("wireguard", "wg0")
	kind := kinds.For(at)
	dir := t.TempDir()
	file, other, shared, rotated := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "psk"), filepath.Join(dir, "rotated")
	newKey(t, file)
	newKey(t, other)
	newKey(t, shared)
	newKey(t, rotated)
	plan := func(w WireGuard) WireGuard {
		t.Helper()
		items := []state.PlannedObject{{Addr: at, Want: w}}
		require.NoError(t, kind.Plan(t.Context(), items))
		return items[0].Want.(WireGuard)
	}
	apply := func(before, after state.Object) error {
		return kind.Apply(t.Context(), state.Site{}, []state.Change{{Addr: at, Before: before, After: after}})
	}
	read := func(want WireGuard) state.Object {
		t.Helper()
		lives, err := kind.Read(t.Context(), []state.Addr{at}, []state.Object{want})
		require.NoError(t, err)
		return lives[0]
	}
	peerA := Peer{Name: "a", PublicKey: publicKey(1), Endpoint: p("192.0.2.1:51820"), AllowedIPs: []string{"10.99.0.2/32"}, Keepalive: p(25)}
	peerB := Peer{Name: "b", PublicKey: publicKey(2), PresharedKeyFile: &shared, AllowedIPs: []string{"10.99.0.3/32", "2001:db8::/64"}}
	a := plan(WireGuard{Name: "wg0", PrivateKeyFile: file, ListenPort: p(51820), FwMark: p(0), MTU: p(1420), Up: p(true), Peers: []Peer{peerA, peerB}})
	changed := peerA
	changed.Endpoint, changed.AllowedIPs, changed.Keepalive, changed.PresharedKeyFile = p("localhost:51821"), []string{"10.99.0.4/32"}, nil, &shared
	b := plan(WireGuard{Name: "wg0", PrivateKeyFile: other, ListenPort: p(51821), FwMark: p(7), MTU: p(1280), Up: p(false), Peers: []Peer{changed}})
	bare := a
	bare.ListenPort, bare.FwMark, bare.MTU, bare.Up = nil, nil, nil, nil
	before := wireguardWorld(t)

	t.Run("suite", func(t *testing.T) {
		providertest.Run(t, providertest.Suite{Kind: kind, Addr: at, A: a, B: b, Bare: bare, Also: func() string { return wireguardWorld(t) }})
	})
	t.Run("a key that was put into the place of another is seen, and both ways lead back", func(t *testing.T) {
		require.NoError(t, apply(nil, a))
		was := wireguardWorld(t)
		key, err := os.ReadFile(file)
		require.NoError(t, err)
		fresh := newKey(t, file)
		now := a
		now.PublicKey = nil
		now = plan(now)
		assert.Equal(t, fresh, *now.PublicKey)
		assert.False(t, state.Same(now, read(now)))
		require.NoError(t, apply(a, now))
		assert.True(t, state.Same(now, read(now)))
		require.NoError(t, apply(now, a), "the key that no file has any more was kept")
		require.Equal(t, was, wireguardWorld(t))
		require.NoError(t, os.WriteFile(file, key, 0o600))
		require.NoError(t, apply(a, nil))
		require.Equal(t, before, wireguardWorld(t))
	})
	t.Run("peers that were added by hand are drift, and go; one that moved by itself is none", func(t *testing.T) {
		require.NoError(t, apply(nil, a))
		was := wireguardWorld(t)
		configure(t, "wg0", wgtypes.PeerConfig{PublicKey: wgtypes.Key{9}, PresharedKey: &wgtypes.Key{8}, AllowedIPs: netsOf("10.99.0.9/32")})
		live := read(a).(WireGuard)
		require.Len(t, live.Peers, 3)
		assert.False(t, live.Same(a))
		require.NoError(t, apply(live, a))
		require.Equal(t, was, wireguardWorld(t))
		configure(t, "wg0", wgtypes.PeerConfig{PublicKey: keyOf(t, peerA.PublicKey), UpdateOnly: true, Endpoint: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 77), Port: 1}})
		assert.True(t, state.Same(a, read(a)))
		require.NoError(t, apply(nil, a), "and is left where it is")
		assert.Contains(t, wireguardWorld(t), "192.0.2.77:1")
		require.NoError(t, apply(a, nil))
	})
	t.Run("is watched: its link, and its peers", func(t *testing.T) {
		require.NoError(t, apply(nil, a))
		heard := make(chan state.Addr, 100)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		require.NoError(t, kind.Watch(ctx, []state.Addr{at}, []state.Object{a}, func(named []state.Addr, err error) {
			for _, n := range named {
				heard <- n
			}
		}))
		for _, happens := range []func(){
			func() { ip(t, "link", "set", "wg0", "mtu", "1400") },
			func() {
				configure(t, "wg0", wgtypes.PeerConfig{PublicKey: keyOf(t, peerA.PublicKey), UpdateOnly: true, AllowedIPs: netsOf("10.99.0.8/32")})
			},
		} {
			happens()
			select {
			case which := <-heard:
				assert.Equal(t, at, which)
			case <-time.After(4 * askEvery):
				require.Fail(t, "nothing was heard")
			}
		}
		stop()
		require.NoError(t, apply(a, nil))
	})
	t.Run("is accepted as far as a configuration can say it", func(t *testing.T) {
		live := a
		live.ListenPort, live.Up = p(51825), p(false)
		accepted, err := kind.Accept(t.Context(), nil, at, a, live)
		require.NoError(t, err)
		assert.Equal(t, []state.Setting{{Name: "listen_port", Value: 51825}, {Name: "up", Value: false}}, accepted.Set)
		live = a
		live.Peers = live.Peers[:1]
		_, err = kind.Accept(t.Context(), nil, at, a, live)
		require.ErrorContains(t, err, "its peers are others")
		live = a
		live.PublicKey = b.PublicKey
		_, err = kind.Accept(t.Context(), nil, at, a, live)
		require.ErrorContains(t, err, "it has another key than "+file)
	})
	t.Run("of somebody else's is a conflict, and stays", func(t *testing.T) {
		ip(t, "tuntap", "add", "wg0", "mode", "tun")
		clean(t, "wg0")
		was := wireguardWorld(t)
		live := read(a)
		assert.False(t, kind.Owns(a, live))
		_, err := kind.Claim(a, live)
		require.ErrorContains(t, err, "there is a link wg0 already, which opdbus did not make")
		require.ErrorContains(t, apply(nil, a), "there is a link of that name that opdbus did not make")
		require.NoError(t, apply(a, nil))
		require.Equal(t, was, wireguardWorld(t))
	})
	t.Run("what was cut off while it was made is begun anew, and taken back", func(t *testing.T) {
		ip(t, "tuntap", "add", unfinished("wg0"), "mode", "tun")
		require.NoError(t, apply(nil, a))
		assert.True(t, state.Same(a, read(a)))
		if strings.Contains(ip(t, "-d", "link", "show", "wg0"), "tun ") { // in userspace, it goes with what runs it
			out, err := exec.Command("systemctl", "kill", "--signal=KILL", deviceUnit("wg0")).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Eventually(t, func() bool { return read(a) == nil }, 10*time.Second, 10*time.Millisecond)
		}
		require.NoError(t, apply(nil, a))
		assert.True(t, state.Same(a, read(a)))
		require.NoError(t, apply(a, nil))
		require.Equal(t, before, wireguardWorld(t))
	})
	t.Run("whose port is taken, or whose endpoint nobody knows, says so", func(t *testing.T) {
		c, err := net.ListenPacket("udp", ":51899")
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, apply(nil, a))
		busy := a
		busy.ListenPort = p(51899)
		require.ErrorContains(t, apply(a, busy), "UDP port 51899 is taken by somebody else")
		nowhere := a
		nowhere.Peers = []Peer{{Name: "a", PublicKey: publicKey(3), Endpoint: p("nowhere.invalid:1")}}
		require.ErrorContains(t, apply(a, nowhere), `peer "a": cannot find the address of its endpoint nowhere.invalid`)
		require.NoError(t, apply(busy, a))
		assert.True(t, state.Same(a, read(a)))
		require.NoError(t, apply(a, nil))
		require.Equal(t, before, wireguardWorld(t))
	})
	t.Run("of which neither kernel nor userspace can make one says so", func(t *testing.T) {
		if strings.Contains(before, "wireguard") || exec.Command("ip", "link", "add", "k0", "type", "wireguard").Run() == nil {
			clean(t, "k0")
			return // the kernel has WireGuard, and makes all of the above
		}
		require.NoError(t, os.Rename("/dev/net/tun", "/dev/net/gone"))
		defer func() { require.NoError(t, os.Rename("/dev/net/gone", "/dev/net/tun")) }()
		err := apply(nil, a)
		require.ErrorContains(t, err, "this kernel has no WireGuard, or the module for it is missing")
		require.ErrorContains(t, err, "cannot open /dev/net/tun")
		require.NoError(t, apply(a, nil))
	})
	require.Equal(t, before, wireguardWorld(t))
}

// configure changes peers of a device as somebody does by hand.
func configure(t *testing.T, name string, peers ...wgtypes.PeerConfig) {
	t.Helper()
	client, err := wgctrl.New()
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ConfigureDevice(name, wgtypes.Config{Peers: peers}))
}

func keyOf(t *testing.T, text string) wgtypes.Key {
	t.Helper()
	k, err := wgtypes.ParseKey(text)
	require.NoError(t, err)
	return k
}

func netsOf(all ...string) (list []net.IPNet) {
	for _, text := range all {
		_, n, _ := net.ParseCIDR(text)
		list = append(list, *n)
	}
	return list
}
