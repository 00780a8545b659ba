package net

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// persistNetworkd is the value of persist that has a network written for systemd-networkd.
const persistNetworkd = "networkd"

// networkdPrefix is how the names of the files about links begin. They are read in the order of their names, and the first that matches a link counts
// (systemd.network(5)): systemd's own come from 70 on, and those that match many links are to come after one that names the link.
const networkdPrefix = "network/10-opdbus-"

// persist adds the files that a node's network comes to, and notes of its links and rules that networkd may make them, so that they may be without
// opdbus' mark.
func (e *expansion) persist(persist *string) {
	switch {
	case persist == nil:
		return
	case *persist != persistNetworkd:
		e.diags.Errorf(e.place("persist"), "Unknown way to persist",
			"%q is none. It is %q, which writes the network for systemd-networkd; without persist, opdbus-network.service brings it up at boot.", *persist, persistNetworkd)
		return
	}
	n := networkdNode{of: fmt.Sprintf("# It is of %s, which has persist = %q.\n", e.node.Addr, persistNetworkd), links: map[string]*networkdLink{}}
	n.gather(e.all)
	for _, l := range n.sorted() {
		if !networkdName(l.name) {
			e.diags.Errorf(e.place("persist"), "A link that systemd-networkd cannot have",
				"Of a network with persist = %q, names of links have letters, digits and ._- only, and something else than digits: %q has not.", persistNetworkd, l.name)
		}
	}
	n.join(e.all)
	var secret []string
	for i, d := range e.all {
		switch o := d.Object.(type) {
		case Link:
			o.Networkd = n.links[o.Name].makes
			e.all[i].Object = o
		case Rule:
			o.Networkd = n.rule(o)
			e.all[i].Object = o
		}
		if len(d.Sensitive) > 0 {
			secret = []string{"text"}
		}
	}
	for _, f := range n.files(e.node.Addr) {
		addr := state.Addr{Node: e.node.Addr, Kind: persistNetworkd, Key: f.Name}
		of := state.Declared{Addr: addr, Object: f, Sensitive: secret, Source: e.place("persist")}
		of.Attr = func(string) state.Range { return of.Source }
		e.all = append(e.all, of)
	}
}

func (e *expansion) place(attr string) state.Range {
	if e.node.Attr == nil {
		return e.node.Source
	}
	return e.node.Attr(attr)
}

// networkdName says whether a link's name can be matched as it is, and is one to networkd.
func networkdName(name string) bool {
	digits := true
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.'
		if !letter && (c < '0' || c > '9') {
			return false
		}
		digits = digits && !letter
	}
	return !digits && name != "all" && name != "default"
}

// A networkdNode is what networkd has to know of a node.
type networkdNode struct {
	of    string
	links map[string]*networkdLink
	rules []Rule
	ipv6  map[string]string // settings of the kernel, by path
}

// A networkdLink is a link that the node declares, with what networkd is to do to it.
type networkdLink struct {
	name      string
	link      *Link // nil where a switch makes it
	makes     bool  // networkd may make it
	addresses []netip.Prefix
	routes    []Route
	stacked   [][2]string // what is made on it: by which key, and its name
}

func (n *networkdNode) sorted() []*networkdLink {
	return slices.SortedFunc(maps.Values(n.links), func(a, b *networkdLink) int { return cmp.Compare(a.name, b.name) })
}

// gather finds the links that networkd may have: only those that the node declares. WireGuard's are not among them, as networkd would have to read
// their keys.
func (n *networkdNode) gather(all []state.Declared) {
	n.ipv6 = map[string]string{}
	for _, d := range all {
		switch o := d.Object.(type) {
		case Link:
			n.links[o.Name] = &networkdLink{name: o.Name, link: &o}
		case Bridge:
			n.links[o.Name] = &networkdLink{name: o.Name}
		case Port:
			if o.isLink() && deref(o.Netns) == "" { // in another network namespace there may be another networkd
				n.links[o.Name] = &networkdLink{name: o.Name}
			}
		case Sysctl:
			n.ipv6[o.path()] = fields(o.Value)
		}
	}
}

// join tells the links of each other, and of the addresses, routes and rules that networkd can have with them.
func (n *networkdNode) join(all []state.Declared) {
	for _, l := range n.sorted() {
		if l.link == nil || l.link.Kind == existing {
			continue
		}
		l.makes = true
		if key := stacking(l.link.Kind); key != "" && l.link.Parent != nil {
			if on := n.links[*l.link.Parent]; on != nil {
				on.stacked = append(on.stacked, [2]string{key, l.name})
			} else { // a file about that one would be another owner of it
				l.makes = false
			}
		}
	}
	for _, d := range all {
		if a, ok := d.Object.(Address); ok && n.links[a.Link] != nil && deref(a.Netns) == "" {
			n.links[a.Link].addresses = append(n.links[a.Link].addresses, a.prefix())
		}
	}
	for _, d := range all {
		switch o := d.Object.(type) {
		case Route:
			if l := n.way(o); l != nil {
				l.routes = append(l.routes, o)
			}
		case Rule:
			if n.rule(o) {
				n.rules = append(n.rules, o)
			}
		}
	}
}

// stacking is the key by which a link's file says that one of a kind is made on it.
func stacking(kind string) string {
	switch kind {
	case "vlan", "vxlan", "macvlan":
		return strings.ToUpper(kind)
	}
	return ""
}

// way is the link with whose file a route goes: its own or, where it names none, that which has an address in the network of its gateway.
func (n *networkdNode) way(r Route) *networkdLink {
	if r.Link != nil {
		return n.links[*r.Link]
	}
	via, err := netip.ParseAddr(deref(r.Via))
	if err != nil {
		return n.anchor()
	}
	var found *networkdLink
	for _, l := range n.sorted() {
		if slices.ContainsFunc(l.addresses, func(p netip.Prefix) bool { return p.Contains(via) }) {
			if found != nil && found != l {
				return nil // which of them it is, the kernel says
			}
			found = l
		}
	}
	return found
}

// anchor is the link with whose file goes what is of no link: one that is surely there, as networkd makes it.
func (n *networkdNode) anchor() *networkdLink {
	for _, l := range n.sorted() {
		if l.makes {
			return l
		}
	}
	return nil
}

// rule says whether networkd can have a rule: it would add one of a type a second time, with a table that it does not look up, and takes a mark of 0
// for none.
func (n *networkdNode) rule(r Rule) bool {
	s := r.sense()
	return n.anchor() != nil && s.table != 0 && (s.mask == 0 || s.mark != 0)
}

// master is the key by which a link's file says what the link is in, and that; the key alone where networkd is not to touch it, as it takes a link
// out of what it has no file of.
func (n *networkdNode) master(l *networkdLink) (key, name string) {
	if l.link == nil || l.link.Master == nil {
		return "KeepMaster", "yes"
	}
	if *l.link.Master == "" {
		return "", ""
	}
	if m := n.links[*l.link.Master]; m != nil && m.makes {
		switch m.link.Kind {
		case "bridge", "bond":
			return strings.ToUpper(m.link.Kind[:1]) + m.link.Kind[1:], m.name
		case "vrf":
			return "VRF", m.name
		}
	}
	return "KeepMaster", "yes"
}

// setting is a setting of IPv6 in the kernel that the node declares, of a link or of all; empty where it declares none.
func (n *networkdNode) setting(link, name string) string {
	for _, of := range []string{link, "all", "default"} {
		if value, ok := n.ipv6["net/ipv6/conf/"+of+"/"+name]; ok {
			return value
		}
	}
	return ""
}
