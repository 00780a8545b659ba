package net

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Link is a network interface: one that opdbus makes, or one that is there already.
type Link struct {
	Name   string  `hcl:"name,label" json:"name"`
	Kind   string  `hcl:"kind" json:"kind"`
	Peer   *string `hcl:"peer,optional" json:"peer,omitempty"`
	Parent *string `hcl:"parent,optional" json:"parent,omitempty"`
	VLANID *int    `hcl:"vlan_id,optional" json:"vlan_id,omitempty"`
	VNI    *int    `hcl:"vni,optional" json:"vni,omitempty"`
	Local  *string `hcl:"local,optional" json:"local,omitempty"`
	Remote *string `hcl:"remote,optional" json:"remote,omitempty"`
	Port   *int    `hcl:"port,optional" json:"port,omitempty"`
	Mode   *string `hcl:"mode,optional" json:"mode,omitempty"`
	Table  *int    `hcl:"table,optional" json:"table,omitempty"`

	Master *string `hcl:"master,optional" json:"master,omitempty"`
	MTU    *int    `hcl:"mtu,optional" json:"mtu,omitempty"`
	MAC    *string `hcl:"mac,optional" json:"mac,omitempty"`
	Up     *bool   `hcl:"up,optional" json:"up,omitempty"`
	Match  *Match  `hcl:"match,block" json:"match,omitempty"`

	// Unnamed says that what is matched does not have the link's name yet.
	Unnamed bool `json:"unnamed,omitempty"`

	// Addresses become objects of their own.
	Addresses []string `hcl:"addresses,optional" json:"-"`

	// Found is what was there before of what is managed, where the link is not opdbus' own.
	Found *Link `json:"found,omitempty"`

	// Networkd says that systemd-networkd may have made the link by a file of opdbus', and so without the mark.
	Networkd bool `json:"networkd,omitempty"`

	ours   bool   // it has opdbus' mark
	marked bool   // it is to have the mark, although networkd may have made it
	taken  string // the link that has the name, where another is matched
}

// existing is the kind of links that opdbus does not make.
const existing = "existing"

// Key is the link's name.
func (l Link) Key() string { return l.Name }

// Thing says that a link is one thing, whoever declares it.
func (l Link) Thing() string { return "link " + l.Name }

// Same compares what is managed.
func (l Link) Same(other state.Object) bool {
	o, ok := other.(Link)
	return ok && l.Name == o.Name && l.Unnamed == o.Unnamed && l.Networkd == o.Networkd && l.alike(o) && equal(l.Master, o.Master) && equal(l.MTU, o.MTU) && strings.EqualFold(deref(l.MAC), deref(o.MAC)) && equal(l.Up, o.Up)
}

// alike compares what a link is made with and cannot be changed later.
func (l Link) alike(o Link) bool {
	return l.Kind == o.Kind && equal(l.Peer, o.Peer) && equal(l.Parent, o.Parent) && equal(l.VLANID, o.VLANID) && equal(l.VNI, o.VNI) &&
		equal(l.Local, o.Local) && equal(l.Remote, o.Remote) && equal(l.Port, o.Port) && equal(l.Mode, o.Mode) && equal(l.Table, o.Table)
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// parts are the attributes that some kinds of links have and others have not, and whether they are set.
func (l Link) parts() []part {
	return []part{
		{"peer", l.Peer != nil}, {"parent", l.Parent != nil}, {"vlan_id", l.VLANID != nil}, {"vni", l.VNI != nil}, {"local", l.Local != nil},
		{"remote", l.Remote != nil}, {"port", l.Port != nil}, {"mode", l.Mode != nil}, {"table", l.Table != nil},
	}
}

type part struct {
	name string
	set  bool
}

// needs and takes are the parts of each kind of links that have to be set, and those that may be.
func needs() map[string][]string {
	return map[string][]string{
		"bridge": {}, "veth": {"peer"}, "vlan": {"parent", "vlan_id"}, "vxlan": {"vni"}, "bond": {}, "dummy": {}, "macvlan": {"parent"},
		"tun": {}, "tap": {}, "vrf": {"table"}, "ifb": {}, existing: {},
	}
}

func takes() map[string][]string {
	return map[string][]string{"vxlan": {"parent", "local", "remote", "port"}, "bond": {"mode"}, "macvlan": {"mode"}}
}

// Check finds what no link can be.
func (l Link) Check(report func(attr, summary, detail string)) {
	if !validName(l.Name) {
		report("", "Invalid name of a link", fmt.Sprintf("%q is no name of a link: it has at most 15 characters, without spaces, slashes and colons.", l.Name))
	}
	need, known := needs()[l.Kind]
	if !known {
		report("kind", "Unknown kind of link", fmt.Sprintf("%q is none. The kinds are bridge, veth, vlan, vxlan, bond, dummy, macvlan, tun, tap, vrf and ifb, and existing for a link that opdbus does not make.", l.Kind))
		return
	}
	for _, p := range l.parts() {
		switch {
		case !p.set && slices.Contains(need, p.name):
			report("", "Missing "+p.name, fmt.Sprintf("A link of kind %s has to have %s.", l.Kind, p.name))
		case p.set && !slices.Contains(need, p.name) && !slices.Contains(takes()[l.Kind], p.name):
			report(p.name, "Unsupported attribute", fmt.Sprintf("A link of kind %s has no %s.", l.Kind, p.name))
		}
	}
	for attr, name := range map[string]*string{"peer": l.Peer, "parent": l.Parent} {
		if name != nil && (!validName(*name) || *name == l.Name) {
			report(attr, "Invalid name of a link", fmt.Sprintf("%q is no name of another link.", *name))
		}
	}
	if l.Master != nil && *l.Master != "" && (!validName(*l.Master) || *l.Master == l.Name) {
		report("master", "Invalid name of a link", fmt.Sprintf("%q is no name of another link. An empty one stands for none.", *l.Master))
	}
	within := func(attr string, value *int, least, most int) {
		if value != nil && (*value < least || *value > most) {
			report(attr, "Invalid "+attr, fmt.Sprintf("%d is not within %d and %d.", *value, least, most))
		}
	}
	within("vlan_id", l.VLANID, 1, 4094)
	within("vni", l.VNI, 1, 1<<24-1)
	within("port", l.Port, 1, 1<<16-1)
	within("table", l.Table, 1, 1<<32-1)
	within("mtu", l.MTU, 68, 1<<16)
	for attr, ip := range map[string]*string{"local": l.Local, "remote": l.Remote} {
		if ip != nil && net.ParseIP(*ip) == nil {
			report(attr, "Invalid address", fmt.Sprintf("%q is no IP address.", *ip))
		}
	}
	if l.MAC != nil {
		if mac, err := net.ParseMAC(*l.MAC); err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			report("mac", "Invalid MAC address", fmt.Sprintf("%q is no MAC address of a link, such as 02:00:00:00:00:01.", *l.MAC))
		}
	}
	if l.Match != nil && l.Kind != existing {
		report("match", "Unsupported attribute", fmt.Sprintf("A link of kind %s is made by opdbus. One that is matched is of kind %s.", l.Kind, existing))
	} else if l.Match != nil {
		l.Match.check(report)
	}
	l.checkMode(report)
	for _, a := range l.Addresses {
		if _, err := parseAddress(a); err != nil {
			report("addresses", "Invalid address", fmt.Sprintf("%q is no address with the length of its network, such as 10.0.0.1/24.", a))
		}
	}
}

// managed is what of l the link want manages.
func (l Link) managed(want Link) Link {
	m := Link{Name: l.Name, Kind: l.Kind, Unnamed: l.Unnamed}
	keep(&m.Peer, l.Peer, want.Peer)
	keep(&m.Parent, l.Parent, want.Parent)
	keep(&m.VLANID, l.VLANID, want.VLANID)
	keep(&m.VNI, l.VNI, want.VNI)
	keep(&m.Local, l.Local, want.Local)
	keep(&m.Remote, l.Remote, want.Remote)
	keep(&m.Port, l.Port, want.Port)
	keep(&m.Mode, l.Mode, want.Mode)
	keep(&m.Table, l.Table, want.Table)
	keep(&m.Master, l.Master, want.Master)
	keep(&m.MTU, l.MTU, want.MTU)
	keep(&m.MAC, l.MAC, want.MAC)
	keep(&m.Up, l.Up, want.Up)
	return m
}

func keep[T any](to **T, from, where *T) {
	if where != nil {
		*to = from
	}
}
