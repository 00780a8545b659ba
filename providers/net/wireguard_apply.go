package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

// Apply makes an interface, changes of it and its peers what differs, or deletes it.
func (p *wireguards) Apply(ctx context.Context, before, after *WireGuard) error {
	switch {
	case after != nil:
		want := *after
		if want.PublicKey == nil {
			if err := p.keys.complete(&want); err != nil {
				return fmt.Errorf("cannot make WireGuard interface %s: %w", want.Name, err)
			}
		}
		if err := p.make(ctx, before, want); err != nil {
			return fmt.Errorf("cannot make WireGuard interface %s: %w", want.Name, err)
		}
	case before != nil:
		if err := p.remove(ctx, before.Name, before); err != nil {
			return fmt.Errorf("cannot delete WireGuard interface %s: %w", before.Name, err)
		}
	}
	return nil
}

func (p *wireguards) make(ctx context.Context, before *WireGuard, want WireGuard) error {
	link, err := find(want.Name)
	if err != nil {
		return err
	}
	if link != nil && !isMark(link.Attrs().Alias) {
		return errors.New("there is a link of that name that opdbus did not make")
	}
	var d *wgtypes.Device
	if link != nil {
		if d, err = device(ctx, want.Name); err != nil {
			return err
		}
	}
	if d == nil { // or a link whose device is about to end
		if err := p.remove(ctx, want.Name, before); err != nil {
			return err
		}
		if link, err = p.create(ctx, want.Name); err != nil {
			return err
		}
		if d, err = device(ctx, want.Name); err == nil && d == nil {
			err = errors.New("it was made, and WireGuard does not know of it")
		}
		if err != nil {
			return err
		}
		if want.Up == nil { // one that is made is there to be used
			up := true
			want.Up = &up
		}
	}
	if err := p.configure(ctx, d, before, want); err != nil {
		return err
	}
	err = (&links{}).set(link, Link{MTU: want.MTU, Up: want.Up})
	if errors.Is(err, unix.EADDRINUSE) {
		return taken(err, want)
	}
	return err
}

func taken(err error, want WireGuard) error {
	return fmt.Errorf("%w: UDP port %d is taken by somebody else", err, deref(want.ListenPort))
}

// create makes the device in the kernel, or in userspace where the kernel has none.
func (p *wireguards) create(ctx context.Context, name string) (netlink.Link, error) {
	at := netlink.NewLinkAttrs()
	at.Name = unfinished(name)
	err := netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: at})
	if errors.Is(err, unix.EOPNOTSUPP) {
		if other := p.start(ctx, name); other != nil {
			return nil, fmt.Errorf("this kernel has no WireGuard, or the module for it is missing (%w), and a device in userspace cannot be made either: %w", err, other)
		}
		return needed(name)
	}
	if err != nil {
		return nil, refused(err, kernelType)
	}
	link, err := needed(at.Name)
	if err == nil {
		err = netlink.LinkSetAlias(link, mark)
	}
	if err == nil {
		err = netlink.LinkSetName(link, name)
	}
	if err != nil {
		return nil, errors.Join(err, removeNamed(at.Name))
	}
	return needed(name)
}

// remove deletes an interface that opdbus made, and what a cut left of making it.
func (p *wireguards) remove(ctx context.Context, name string, before *WireGuard) error {
	link, err := find(name)
	if err != nil {
		return err
	}
	if link != nil {
		if !isMark(link.Attrs().Alias) {
			return nil
		}
		d, err := device(ctx, name)
		if err == nil && d != nil {
			err = p.keys.keepKeys(d, before)
		}
		if err != nil {
			return err
		}
	}
	if link == nil || link.Type() != kernelType {
		if err := p.stop(ctx, name, link != nil); err != nil {
			return err
		}
	}
	return errors.Join(removeMarked(name), removeNamed(unfinished(name)), removeSocket(name))
}

// removeSocket removes what a device leaves behind that did not end by itself: others who ask for all devices stumble over it.
func removeSocket(name string) error {
	socket := "/run/wireguard/" + name + ".sock"
	c, err := net.Dial("unix", socket)
	if err == nil {
		return c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return os.Remove(socket)
}

func removeMarked(name string) error {
	link, err := find(name)
	if err != nil || link == nil || !isMark(link.Attrs().Alias) {
		return err
	}
	return removeNamed(name)
}

// configure changes of a device what differs, in one go, and of its peers only those that differ.
func (p *wireguards) configure(ctx context.Context, d *wgtypes.Device, before *WireGuard, want WireGuard) error {
	var config wgtypes.Config
	if d.PublicKey.String() != *want.PublicKey || (d.PrivateKey == wgtypes.Key{}) {
		private, err := p.keys.private(want)
		if err != nil {
			return err
		}
		raw := wgtypes.Key(private.Bytes())
		config.PrivateKey = &raw
	}
	if want.ListenPort != nil && *want.ListenPort != d.ListenPort {
		config.ListenPort = want.ListenPort
	}
	if want.FwMark != nil && *want.FwMark != d.FirewallMark {
		config.FirewallMark = want.FwMark
	}
	known, err := readEndpoints(want.Name)
	if err != nil {
		return err
	}
	for _, peer := range want.Peers {
		at := slices.IndexFunc(d.Peers, func(from wgtypes.Peer) bool { return from.PublicKey.String() == peer.PublicKey })
		var live *wgtypes.Peer
		if at >= 0 {
			live = &d.Peers[at]
		}
		change, err := p.peer(ctx, live, peer, known)
		if err != nil {
			return fmt.Errorf("peer %q: %w", peer.Name, err)
		}
		if change != nil {
			config.Peers = append(config.Peers, *change)
		}
	}
	for _, from := range d.Peers {
		if !slices.ContainsFunc(want.Peers, func(w Peer) bool { return w.PublicKey == from.PublicKey.String() }) {
			config.Peers = append(config.Peers, wgtypes.PeerConfig{PublicKey: from.PublicKey, Remove: true, UpdateOnly: true})
		}
	}
	if config.PrivateKey == nil && config.ListenPort == nil && config.FirewallMark == nil && len(config.Peers) == 0 {
		return nil
	}
	if err := p.keys.keepKeys(d, before); err != nil {
		return err
	}
	_, err = controlled(ctx, func(c *wgctrl.Client) (struct{}, error) { return struct{}{}, c.ConfigureDevice(want.Name, config) })
	if err != nil {
		if errors.Is(err, unix.EADDRINUSE) || strings.Contains(err.Error(), fmt.Sprintf("errno=-%d", unix.EADDRINUSE)) {
			err = taken(err, want)
		}
		return err
	}
	return writeEndpoints(want.Name, known)
}
