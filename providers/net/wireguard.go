package net

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/wgkey"
)

// A WireGuard is a WireGuard interface with its peers, all of which are opdbus'. Keys are in files: what is here of a private key is its
// public key, and of a preshared key a fingerprint.
type WireGuard struct {
	Name           string  `hcl:"name,label" json:"name"`
	PrivateKeyFile string  `hcl:"private_key_file" json:"private_key_file,omitempty"`
	PublicKey      *string `json:"public_key,omitempty"` // of the key that is in the file when the plan is made
	ListenPort     *int    `hcl:"listen_port,optional" json:"listen_port,omitempty"`
	FwMark         *int    `hcl:"fwmark,optional" json:"fwmark,omitempty"`
	MTU            *int    `hcl:"mtu,optional" json:"mtu,omitempty"`
	Up             *bool   `hcl:"up,optional" json:"up,omitempty"`
	Peers          []Peer  `hcl:"peer,block" json:"peer,omitempty"`

	// DeclaredKey is what the public key has to be.
	DeclaredKey *string `hcl:"public_key,optional" json:"-"`
	// Addresses become objects of their own.
	Addresses []string `hcl:"addresses,optional" json:"-"`

	former *WireGuard // what it was made as: peers that are to go are known by it
	ours   bool       // it has opdbus' mark
}

// A Peer is one of an interface's, known by its public key.
type Peer struct {
	Name             string   `hcl:"name,label" json:"name,omitempty"`
	PublicKey        string   `hcl:"public_key" json:"public_key"`
	PresharedKeyFile *string  `hcl:"preshared_key_file,optional" json:"preshared_key_file,omitempty"`
	PresharedKey     *string  `json:"preshared_key,omitempty"` // its fingerprint; empty where there is no key for one
	Endpoint         *string  `hcl:"endpoint,optional" json:"endpoint,omitempty"`
	AllowedIPs       []string `hcl:"allowed_ips,optional" json:"allowed_ips,omitempty"`
	Keepalive        *int     `hcl:"keepalive,optional" json:"keepalive,omitempty"` // seconds
}

// Key is the interface's name.
func (w WireGuard) Key() string { return w.Name }

// Thing says that an interface is a link, whoever declares it.
func (w WireGuard) Thing() string { return Link{Name: w.Name}.Thing() }

// Same compares what is managed. Peers are known by their keys, and have no order.
func (w WireGuard) Same(other state.Object) bool {
	o, ok := other.(WireGuard)
	return ok && w.Name == o.Name && w.PrivateKeyFile == o.PrivateKeyFile && equal(w.PublicKey, o.PublicKey) && equal(w.ListenPort, o.ListenPort) &&
		equal(w.FwMark, o.FwMark) && equal(w.MTU, o.MTU) && equal(w.Up, o.Up) &&
		slices.EqualFunc(byKey(w.Peers), byKey(o.Peers), Peer.same)
}

func byKey(peers []Peer) []Peer {
	return slices.SortedFunc(slices.Values(peers), func(a, b Peer) int {
		switch {
		case a.PublicKey < b.PublicKey:
			return -1
		case a.PublicKey > b.PublicKey:
			return 1
		}
		return 0
	})
}

// same compares what is managed of a peer: whatever it does not have is none.
func (p Peer) same(o Peer) bool {
	return p.PublicKey == o.PublicKey && deref(p.PresharedKeyFile) == deref(o.PresharedKeyFile) && equal(p.PresharedKey, o.PresharedKey) &&
		equal(p.Endpoint, o.Endpoint) && deref(p.Keepalive) == deref(o.Keepalive) && slices.Equal(sorted(p.AllowedIPs), sorted(o.AllowedIPs))
}

// sorted are allowed IPs in order, each once.
func sorted(all []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// Check finds what no interface can be.
func (w WireGuard) Check(report func(attr, summary, detail string)) {
	if !validName(w.Name) {
		report("", "Invalid name of a link", fmt.Sprintf("%q is no name of a link: it has at most 15 characters, without spaces, slashes and colons.", w.Name))
	}
	keyFile := func(attr, file string) {
		if !filepath.IsAbs(file) || filepath.Clean(file) != file {
			report(attr, "Invalid path of a key", fmt.Sprintf("%q is no absolute path. A key is on the host that it is a key of, such as in /etc/wireguard.", file))
		}
	}
	keyFile("private_key_file", w.PrivateKeyFile)
	within := func(attr string, value *int, least, most int) {
		if value != nil && (*value < least || *value > most) {
			report(attr, "Invalid "+attr, fmt.Sprintf("%d is not within %d and %d.", *value, least, most))
		}
	}
	within("listen_port", w.ListenPort, 1, 1<<16-1)
	within("fwmark", w.FwMark, 0, 1<<32-1)
	within("mtu", w.MTU, 576, 1<<16-1)
	if w.DeclaredKey != nil && !isKey(*w.DeclaredKey) {
		report("public_key", "Invalid public key", fmt.Sprintf("%q is no public key: one is 44 characters of base64.", *w.DeclaredKey))
	}
	for _, a := range w.Addresses {
		if _, err := parseAddress(a); err != nil {
			report("addresses", "Invalid address", fmt.Sprintf("%q is no address with the length of its network, such as 10.0.0.1/24.", a))
		}
	}
	names, keys, owners := map[string]bool{}, map[string]string{}, map[string]string{}
	for _, p := range w.Peers {
		at := func(attr string) string { return fmt.Sprintf("peer[%q].%s", p.Name, attr) }
		if names[p.Name] {
			report("peer", "Duplicate peer", fmt.Sprintf("There are two peers %q: give one another name.", p.Name))
		}
		names[p.Name] = true
		if first, is := keys[p.PublicKey]; is && isKey(p.PublicKey) {
			report(at("public_key"), "Duplicate peer", fmt.Sprintf("Peer %q has this public key too, by which a peer is known: remove one of the two.", first))
		}
		keys[p.PublicKey] = p.Name
		p.check(func(attr, summary, detail string) { report(at(attr), summary, detail) })
		if p.PresharedKeyFile != nil {
			keyFile(at("preshared_key_file"), *p.PresharedKeyFile)
		}
		for _, n := range sorted(p.AllowedIPs) {
			if first, is := owners[n]; is {
				report(at("allowed_ips"), "Network of two peers", fmt.Sprintf("Peer %q has %s too, and packets to it go to one of them only: take it from the other.", first, n))
			}
			owners[n] = p.Name
		}
	}
}

// check finds what no peer can be.
func (p Peer) check(report func(attr, summary, detail string)) {
	if !isKey(p.PublicKey) {
		report("public_key", "Invalid public key", fmt.Sprintf("%q is no public key: one is 44 characters of base64, as opdbus wg pubkey prints it on the other host.", p.PublicKey))
	}
	if p.Endpoint != nil && !isEndpoint(*p.Endpoint) {
		report("endpoint", "Invalid endpoint", fmt.Sprintf("%q is no host with a port, such as 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.org:51820.", *p.Endpoint))
	}
	if p.Keepalive != nil && (*p.Keepalive < 0 || *p.Keepalive > 1<<16-1) {
		report("keepalive", "Invalid keepalive", fmt.Sprintf("%d is not within 0, which is none, and 65535 seconds.", *p.Keepalive))
	}
	for _, text := range p.AllowedIPs {
		n, err := netip.ParsePrefix(text)
		switch {
		case err != nil || n.Addr().Zone() != "":
			report("allowed_ips", "Invalid network", fmt.Sprintf("%q is no network, such as 10.99.0.2/32.", text))
		case n.Masked().String() != text:
			report("allowed_ips", "Invalid network", fmt.Sprintf("%q is an address in the network %s: write that, or the address with the length /%d.", text, n.Masked(), n.Addr().BitLen()))
		}
	}
}

func isKey(text string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == wgkey.Size
}

func isEndpoint(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil && n > 0 && host != ""
}

// managed is what of an interface want manages.
func (w WireGuard) managed(want WireGuard) WireGuard {
	m := WireGuard{Name: w.Name, PrivateKeyFile: want.PrivateKeyFile, PublicKey: w.PublicKey, ours: w.ours}
	keep(&m.ListenPort, w.ListenPort, want.ListenPort)
	keep(&m.FwMark, w.FwMark, want.FwMark)
	keep(&m.MTU, w.MTU, want.MTU)
	keep(&m.Up, w.Up, want.Up)
	declared := make(map[string]Peer, len(want.Peers))
	if want.former != nil {
		for _, p := range want.former.Peers {
			declared[p.PublicKey] = p
		}
	}
	for _, p := range want.Peers {
		declared[p.PublicKey] = p
	}
	for _, p := range w.Peers {
		if d, is := declared[p.PublicKey]; is {
			p.Name = d.Name
			if p.PresharedKey != nil || d.PresharedKey == nil {
				p.PresharedKeyFile = d.PresharedKeyFile
			}
			switch {
			case d.Endpoint == nil: // then it is the peer's business where it is
				p.Endpoint = nil
			case p.Endpoint != nil && alikeEndpoints(*p.Endpoint, *d.Endpoint):
				p.Endpoint = d.Endpoint
			}
			if d.Keepalive == nil && deref(p.Keepalive) == 0 {
				p.Keepalive = nil
			}
		}
		m.Peers = append(m.Peers, p)
	}
	order := map[string]int{}
	for i, p := range want.Peers {
		order[p.PublicKey] = i - len(want.Peers)
	}
	slices.SortStableFunc(m.Peers, func(a, b Peer) int { return order[a.PublicKey] - order[b.PublicKey] })
	return m
}
