package net

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// An ini is a file of systemd's (systemd.syntax(7)).
type ini struct{ strings.Builder }

func (f *ini) section(name string) { fmt.Fprintf(f, "\n[%s]\n", name) }

func (f *ini) set(key, value string) { fmt.Fprintf(f, "%s=%s\n", key, value) }

// files are all of a node.
func (n *networkdNode) files(node state.NodeAddr) (all []NetworkdFile) {
	for _, l := range n.sorted() {
		if l.makes {
			all = append(all, NetworkdFile{Name: networkdPrefix + l.name + ".netdev", Text: n.netdev(l)})
		}
		if l.managed() || l == n.anchor() {
			all = append(all, NetworkdFile{Name: networkdPrefix + l.name + ".network", Text: n.network(l), link: l.name})
		}
	}
	if len(all) > 0 {
		f := NetworkdFile{Name: "networkd.conf.d/10-opdbus-" + node.Dir() + ".conf", Text: n.daemon()}
		all = append(all, f)
	}
	return all
}

// daemon has networkd leave the routes and rules of others: it would delete those that no file of its own says, as soon as one file matches a link.
func (n *networkdNode) daemon() string {
	var f ini
	f.WriteString(n.of)
	f.section("Network")
	f.set("ManageForeignRoutes", "no")
	f.set("ManageForeignRoutingPolicyRules", "no")
	return f.String()
}

// managed says whether there is something that networkd is to do to a link.
func (l *networkdLink) managed() bool {
	of := l.link
	return of != nil && (of.Kind != existing || of.Master != nil || of.MTU != nil || of.MAC != nil || of.Up != nil) ||
		len(l.addresses) > 0 || len(l.routes) > 0 || len(l.stacked) > 0
}

// leadsOut says whether a link has to be up for the host to be online: systemd-networkd-wait-online(8) waits for all such links, and for one at least.
// Others may have no carrier.
func (l *networkdLink) leadsOut() bool {
	return slices.ContainsFunc(l.routes, func(r Route) bool {
		at := r.slot()
		return at.destination.Bits() == 0 && at.table == unix.RT_TABLE_MAIN && r.Via != nil
	})
}

func yes(is bool) string { return map[bool]string{true: "yes", false: "no"}[is] }

// netdev has networkd make a link as links.create does (systemd.netdev(5)).
func (n *networkdNode) netdev(l *networkdLink) string {
	var f ini
	of := l.link
	f.WriteString(n.of)
	f.section("NetDev")
	f.set("Name", l.name)
	f.set("Kind", of.Kind)
	if of.Kind != "tun" && of.Kind != "tap" {
		f.set("MACAddress", "none") // the kernel's, or udev's, as where opdbus makes it; one that is declared comes with the link's other settings
	}
	switch of.Kind {
	case "veth":
		f.section("Peer")
		f.set("Name", *of.Peer)
		f.set("MACAddress", "none")
	case "vlan":
		f.section("VLAN")
		f.set("Id", strconv.Itoa(*of.VLANID))
	case "vxlan":
		port := 4789 // as in Link.blueprint
		if of.Port != nil {
			port = *of.Port
		}
		f.section("VXLAN")
		f.set("VNI", strconv.Itoa(*of.VNI))
		f.set("DestinationPort", strconv.Itoa(port))
		f.set("MacLearning", "yes")
		if of.Local != nil {
			f.set("Local", *of.Local)
		}
		if of.Remote != nil {
			key := "Remote"
			if ip, err := netip.ParseAddr(*of.Remote); err == nil && ip.IsMulticast() {
				key = "Group"
			}
			f.set(key, *of.Remote)
		}
		if of.Parent == nil {
			f.set("Independent", "yes")
		}
	case "bond", "macvlan":
		if of.Mode != nil {
			f.section(map[string]string{"bond": "Bond", "macvlan": "MACVLAN"}[of.Kind])
			f.set("Mode", *of.Mode)
		}
	case "vrf":
		f.section("VRF")
		f.set("Table", strconv.Itoa(*of.Table))
	}
	return f.String()
}

// network has networkd set up a link (systemd.network(5)), and leave all else of it as opdbus and the kernel would.
func (n *networkdNode) network(l *networkdLink) string {
	var f ini
	f.WriteString(n.of)
	f.section("Match")
	if l.link != nil && l.link.Match != nil {
		f.match(*l.link.Match)
	} else {
		f.set("Name", l.name)
	}
	f.section("Link")
	policy := "up"
	if of := l.link; of != nil {
		if of.MAC != nil {
			f.set("MACAddress", *of.MAC)
		}
		if of.MTU != nil && *of.MTU >= 1280 { // networkd would make it be 1280
			f.set("MTUBytes", strconv.Itoa(*of.MTU))
		}
		switch {
		case of.Up != nil && !*of.Up:
			policy = "down"
		case of.Up == nil && of.Kind == existing:
			policy = "manual"
		}
	}
	f.set("ActivationPolicy", policy)
	f.set("RequiredForOnline", yes(l.leadsOut()))
	f.section("Network")
	for _, s := range l.stacked {
		f.set(s[0], s[1])
	}
	key, name := n.master(l)
	if key != "" {
		f.set(key, name)
	}
	f.set("ConfigureWithoutCarrier", "yes") // as opdbus does
	f.set("KeepConfiguration", "yes")       // addresses that others have added stay
	f.set("LLDP", "no")
	f.set("IPv6PrivacyExtensions", "kernel")
	if n.setting(l.name, "disable_ipv6") == "1" {
		f.set("LinkLocalAddressing", "no")
		f.set("IPv6AcceptRA", "no")
	} else {
		f.set("LinkLocalAddressing", "ipv6") // which the kernel makes
		f.routers(key != "Bond" && n.setting(l.name, "accept_ra") != "0" && n.setting(l.name, "forwarding") != "1")
	}
	for _, a := range l.addresses {
		f.section("Address")
		f.set("Address", a.String())
	}
	for _, r := range l.routes {
		f.route(r)
	}
	if l == n.anchor() {
		for _, r := range n.rules {
			f.rule(r)
		}
	}
	return f.String()
}

// match finds a link as Link.locate does, but for the mac that a card has when it was given another one.
func (f *ini) match(m Match) {
	if m.MAC != nil {
		f.set("MACAddress", *m.MAC)
		f.set("Kind", "!"+strings.Join(borrowers(), " "))
	}
	if m.Path != nil {
		f.set("Path", *m.Path)
	}
}

// routers has networkd heed what routers advertise as the kernel does, whose part it takes: addresses and routes, and no name servers or DHCPv6.
func (f *ini) routers(accept bool) {
	if !accept {
		f.set("IPv6AcceptRA", "no")
		return
	}
	f.set("IPv6AcceptRA", "yes")
	f.section("IPv6AcceptRA")
	f.set("UseDNS", "no")
	f.set("DHCPv6Client", "no")
}

func (f *ini) route(r Route) {
	at := r.slot()
	f.section("Route")
	f.set("Destination", at.destination.String())
	if r.Via != nil {
		f.set("Gateway", *r.Via)
	}
	if deref(r.OnLink) {
		f.set("GatewayOnLink", "yes")
	}
	if r.Source != nil {
		f.set("PreferredSource", *r.Source)
	}
	if r.Type != nil {
		f.set("Type", *r.Type)
	}
	f.set("Table", strconv.Itoa(at.table)) // in a vrf, networkd would take that one's
	if at.metric != 0 {
		f.set("Metric", strconv.Itoa(at.metric))
	}
	f.set("Protocol", strconv.Itoa(protocol)) // opdbus' mark
}

func (f *ini) rule(r Rule) {
	s := r.sense()
	f.section("RoutingPolicyRule")
	f.set("Priority", strconv.Itoa(s.priority))
	family := "ipv4"
	if s.family == netlink.FAMILY_V6 {
		family = "ipv6"
	}
	f.set("Family", family)
	for _, of := range []struct {
		key string
		p   netip.Prefix
	}{{"From", s.from}, {"To", s.to}} {
		if of.p.IsValid() {
			f.set(of.key, of.p.String())
		}
	}
	if s.iif != "" {
		f.set("IncomingInterface", s.iif)
	}
	if s.oif != "" {
		f.set("OutgoingInterface", s.oif)
	}
	if s.mask != 0 {
		f.set("FirewallMark", fmt.Sprintf("%d/%d", s.mark, s.mask))
	}
	f.set("Table", strconv.Itoa(s.table))
}
