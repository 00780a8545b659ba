package net

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/wgkey"
)

// wireguards is the provider of WireGuard interfaces.
type wireguards struct {
	connections *connections
	bus         *sysbus.Bus
	keys        keys
}

// Live says that interfaces are a state of the running kernel, for state.Live.
func (*wireguards) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*wireguards) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*wireguards) Overlaps() {}

// Read reads one.
func (p *wireguards) Read(ctx context.Context, want WireGuard) (*WireGuard, error) {
	lives, err := p.ReadAll(ctx, []state.Item[WireGuard]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll asks the kernel for all links, and the device of each that is there for its peers.
func (p *wireguards) ReadAll(ctx context.Context, items []state.Item[WireGuard]) ([]*WireGuard, error) {
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	lives := make([]*WireGuard, len(items))
	for i, it := range items {
		l := all.named[it.Want.Name]
		if l == nil {
			continue
		}
		d, err := device(ctx, it.Want.Name)
		if err != nil {
			return nil, err
		}
		found, err := p.described(l, d)
		if err != nil {
			return nil, err
		}
		live := found.managed(it.Want)
		lives[i] = &live
	}
	return lives, nil
}

// patience is how long a device may take to answer.
const patience = 10 * time.Second

// controlled does something with the client of WireGuard, which knows no deadline.
func controlled[T any](ctx context.Context, do func(*wgctrl.Client) (T, error)) (T, error) {
	type answer struct {
		t   T
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan answer, 1)
	go func() {
		client, err := wgctrl.New() // each time: one that came before the kernel's module does not know of it
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer client.Close()
		t, err := do(client)
		done <- answer{t, err}
	}()
	select {
	case a := <-done:
		return a.t, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("it does not answer: %w", ctx.Err())
	}
}

// device is what WireGuard says of a link; nil where that is none of WireGuard's, or what ran it has ended.
func device(ctx context.Context, name string) (*wgtypes.Device, error) {
	d, err := controlled(ctx, func(c *wgctrl.Client) (*wgtypes.Device, error) {
		d, err := c.Device(name)
		if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) { // it ended while it was asked
			d, err = c.Device(name)
		}
		return d, err
	})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot ask WireGuard of %s: %w", name, err)
	}
	return d, nil
}

// described is an interface as it is; a link that is none has neither key nor peers.
func (p *wireguards) described(l netlink.Link, d *wgtypes.Device) (WireGuard, error) {
	at := l.Attrs()
	up, mtu := at.Flags&net.FlagUp != 0, at.MTU
	w := WireGuard{Name: at.Name, MTU: &mtu, Up: &up, ours: isMark(at.Alias)}
	if d == nil {
		return w, nil
	}
	w.ListenPort, w.FwMark = &d.ListenPort, &d.FirewallMark
	if (d.PrivateKey != wgtypes.Key{}) {
		public := d.PublicKey.String()
		w.PublicKey = &public
	}
	known, err := readEndpoints(at.Name)
	if err != nil {
		return w, err
	}
	for _, from := range d.Peers {
		peer := Peer{PublicKey: from.PublicKey.String()}
		if (from.PresharedKey != wgtypes.Key{}) {
			print, err := p.keys.fingerprint(wgkey.Of(from.PresharedKey))
			if err != nil {
				return w, err
			}
			peer.PresharedKey = &print
		}
		if from.Endpoint != nil {
			text := from.Endpoint.String()
			if of, is := known[peer.PublicKey]; is { // from where it may have moved by itself
				text = of.Endpoint
			}
			peer.Endpoint = &text
		}
		seconds := int(from.PersistentKeepaliveInterval / time.Second)
		peer.Keepalive = &seconds
		for _, n := range from.AllowedIPs {
			peer.AllowedIPs = append(peer.AllowedIPs, prefixOf(&n).String())
		}
		slices.Sort(peer.AllowedIPs)
		w.Peers = append(w.Peers, peer)
	}
	w.Peers = byKey(w.Peers)
	return w, nil
}

// List is all interfaces.
func (p *wireguards) List(ctx context.Context) ([]WireGuard, error) {
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	var found []WireGuard
	for name, l := range all.named {
		if kind := l.Type(); kind != kernelType && kind != "tuntap" && kind != "tun" {
			continue
		}
		d, err := device(ctx, name)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		w, err := p.described(l, d)
		if err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	slices.SortFunc(found, func(a, b WireGuard) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// kernelType is the type of links that the kernel's own WireGuard makes.
const kernelType = "wireguard"

// Owns says whether an interface is opdbus' own.
func (*wireguards) Owns(made *WireGuard, live WireGuard) bool { return made != nil && live.ours }

// Claim takes no link of somebody else's.
func (*wireguards) Claim(want, _ WireGuard) (WireGuard, error) {
	return want, fmt.Errorf("there is a link %s already, which opdbus did not make as this WireGuard interface: give yours another name, or take that one away", want.Name)
}

// PlanAll completes what is wanted by what the files of keys tell: which public key that is, and the fingerprints
// of preshared keys.
func (p *wireguards) PlanAll(_ context.Context, items []state.Planned[WireGuard]) error {
	for i, it := range items {
		if it.Want == nil {
			continue
		}
		want := *it.Want
		if want.PublicKey == nil {
			if err := p.keys.complete(&want); err != nil {
				return err
			}
		}
		want.former = it.Made
		items[i].Want = &want
	}
	return nil
}

// Disturbs says what goes with an interface, or with its key.
func (*wireguards) Disturbs(before, after *WireGuard) []string {
	switch {
	case before == nil:
	case after == nil:
		return []string{"takes everything on link " + before.Name + " with it"}
	case before.PublicKey != nil && !equal(before.PublicKey, after.PublicKey):
		return []string{"ends the sessions of all peers of " + before.Name + ", which know another key"}
	case deref(before.Up) && after.Up != nil && !*after.Up:
		return []string{"cuts what goes over link " + before.Name}
	}
	return nil
}

// Endangers says of interfaces that they carry the connection.
func (p *wireguards) Endangers(ctx context.Context, before, after *WireGuard) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil || before == nil || !c.Links[before.Name] {
		return "", err
	}
	return c.carries("carries"), nil
}

// Explain says what keeps an interface from what was wanted.
func (*wireguards) Explain(_ context.Context, want WireGuard, live *WireGuard) string {
	if live != nil && want.ListenPort != nil && deref(live.ListenPort) != *want.ListenPort {
		return fmt.Sprintf("UDP port %d is taken by somebody else, it seems", *want.ListenPort)
	}
	return ""
}

// Accept says what a configuration has to say for an interface to be as it is: of its own attributes, and neither of keys nor of peers.
func (*wireguards) Accept(_ context.Context, _ *state.Node, item state.Item[WireGuard], live WireGuard) (a state.Acceptance, err error) {
	want := item.Want
	rest := live
	rest.ListenPort, rest.FwMark, rest.MTU, rest.Up = want.ListenPort, want.FwMark, want.MTU, want.Up
	switch {
	case !equal(want.PublicKey, live.PublicKey):
		return a, fmt.Errorf("it has another key than %s; opdbus apply gives it that one", want.PrivateKeyFile)
	case !rest.Same(want):
		return a, fmt.Errorf("its peers are others: add or take out their blocks in %s by hand, or have opdbus apply put them back", item.Addr)
	}
	for _, s := range []struct {
		name       string
		want, live *int
	}{{"listen_port", want.ListenPort, live.ListenPort}, {"fwmark", want.FwMark, live.FwMark}, {"mtu", want.MTU, live.MTU}} {
		if !equal(s.want, s.live) {
			a.Set = append(a.Set, state.Setting{Name: s.name, Value: *s.live})
		}
	}
	if !equal(want.Up, live.Up) {
		a.Set = append(a.Set, state.Setting{Name: "up", Value: *live.Up})
	}
	return a, nil
}

// alikeEndpoints says whether two endpoints are one address and port.
func alikeEndpoints(a, b string) bool {
	x, err := netip.ParseAddrPort(a)
	y, other := netip.ParseAddrPort(b)
	return err == nil && other == nil && x == y
}
