package net

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/opdbus/opdbus/state/wgkey"
)

// peer is what has to be changed of a peer, nil for nothing: what stays as it is, is not touched, so that no packet is lost.
func (p *wireguards) peer(ctx context.Context, live *wgtypes.Peer, want Peer, known map[string]configured) (*wgtypes.PeerConfig, error) {
	public, err := wgtypes.ParseKey(want.PublicKey)
	if err != nil {
		return nil, err
	}
	change := wgtypes.PeerConfig{PublicKey: public, UpdateOnly: live != nil}
	differs := live == nil
	var was wgtypes.Peer
	if live != nil {
		was = *live
	}
	print := ""
	if (was.PresharedKey != wgtypes.Key{}) {
		if print, err = p.keys.fingerprint(wgkey.Of(was.PresharedKey)); err != nil {
			return nil, err
		}
	}
	if (want.PresharedKey != nil) != (was.PresharedKey != wgtypes.Key{}) || want.PresharedKey != nil && *want.PresharedKey != print {
		shared, err := p.keys.preshared(want)
		if err != nil {
			return nil, err
		}
		raw := wgtypes.Key(shared.Bytes())
		change.PresharedKey, differs = &raw, true
	}
	if every := time.Duration(deref(want.Keepalive)) * time.Second; every != was.PersistentKeepaliveInterval {
		change.PersistentKeepaliveInterval, differs = &every, true
	}
	if want.Endpoint != nil {
		of, is := known[want.PublicKey]
		if was.Endpoint == nil || !(is && of.Endpoint == *want.Endpoint || !is && alikeEndpoints(was.Endpoint.String(), *want.Endpoint)) {
			address, err := resolved(ctx, *want.Endpoint, of)
			if err != nil {
				return nil, err
			}
			change.Endpoint, differs = net.UDPAddrFromAddrPort(address), true
			known[want.PublicKey] = configured{*want.Endpoint, address.String()}
		}
	}
	change.AllowedIPs, change.ReplaceAllowedIPs = allowed(was.AllowedIPs, want.AllowedIPs)
	if !differs && len(change.AllowedIPs) == 0 && !change.ReplaceAllowedIPs {
		return nil, nil
	}
	return &change, nil
}

// allowed are the networks to add to those that a peer has, or to have in their place where some have to go.
func allowed(live []net.IPNet, want []string) (add []net.IPNet, replace bool) {
	had := map[netip.Prefix]bool{}
	for _, n := range live {
		had[prefixOf(&n)] = true
	}
	var all []net.IPNet
	for _, text := range sorted(want) {
		n := netip.MustParsePrefix(text)
		all = append(all, *netOf(n))
		if !had[n] {
			add = append(add, *netOf(n))
		}
		delete(had, n)
	}
	if len(had) > 0 {
		return all, true
	}
	return add, false
}

// resolved is the address that an endpoint is: of a host's name, the first that is known. Where nobody can tell, it is what it was before.
func resolved(ctx context.Context, endpoint string, before configured) (netip.AddrPort, error) {
	if address, err := netip.ParseAddrPort(endpoint); err == nil {
		return address, nil
	}
	host, service, err := net.SplitHostPort(endpoint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(all) > 0 {
		return netip.AddrPortFrom(all[0].Unmap(), uint16(port)), nil
	}
	if address, e := netip.ParseAddrPort(before.Address); e == nil && before.Endpoint == endpoint {
		return address, nil
	}
	return netip.AddrPort{}, fmt.Errorf("cannot find the address of its endpoint %s: %w", host, err)
}
