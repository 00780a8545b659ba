package net

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A Route is one of the kernel's routing tables.
type Route struct {
	Name        string  `hcl:"name,label" json:"name"`
	Destination string  `hcl:"destination" json:"destination"`
	Via         *string `hcl:"via,optional" json:"via,omitempty"`
	Link        *string `hcl:"link,optional" json:"link,omitempty"`
	Table       *int    `hcl:"table,optional" json:"table,omitempty"`
	Metric      *int    `hcl:"metric,optional" json:"metric,omitempty"`
	Source      *string `hcl:"source,optional" json:"source,omitempty"`
	OnLink      *bool   `hcl:"onlink,optional" json:"onlink,omitempty"`
	Type        *string `hcl:"type,optional" json:"type,omitempty"`

	// Found is what was there before.
	Found *FoundRoute `json:"found,omitempty"`

	former *Route   // what it is made from, until it is there
	ours   bool     // it has opdbus' mark
	names  []string // all that its link has
	found  *FoundRoute
}

// A FoundRoute is somebody else's, to be put back as it was.
type FoundRoute struct {
	Via      string `json:"via,omitempty"`
	Link     string `json:"link,omitempty"`
	Source   string `json:"source,omitempty"`
	Type     int    `json:"type"`
	Scope    int    `json:"scope"`
	Protocol int    `json:"protocol"`
	Flags    int    `json:"flags,omitempty"`
	MTU      int    `json:"mtu,omitempty"`
}

// Key is the label.
func (r Route) Key() string { return r.Name }

// Thing says that a route to one destination, with one metric and in one table, is one thing.
func (r Route) Thing() string {
	at := r.slot()
	return fmt.Sprintf("route to %s with metric %d in table %d", at.destination, at.metric, at.table)
}

// Same compares what is managed.
func (r Route) Same(other state.Object) bool {
	o, ok := other.(Route)
	return ok && r.slot() == o.slot() && sameIP(r.Via, o.Via) && equal(r.Link, o.Link) && sameIP(r.Source, o.Source) && equal(r.OnLink, o.OnLink) && equal(r.Type, o.Type)
}

func sameIP(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, err := netip.ParseAddr(*a)
	y, other := netip.ParseAddr(*b)
	return err == nil && other == nil && x == y || *a == *b
}

// A slot is what the kernel has one route in.
type slot struct {
	destination   netip.Prefix
	table, metric int
}

func (r Route) slot() slot {
	to, _ := r.destination()
	at := slot{to, unix.RT_TABLE_MAIN, 0}
	if to.Addr().Is6() {
		at.metric = 1024 // IP6_RT_PRIO_USER, which is what the kernel makes of 0
	}
	if r.Table != nil {
		at.table = *r.Table
	}
	if r.Metric != nil && *r.Metric != 0 {
		at.metric = *r.Metric
	}
	return at
}

// destination is the network that the route leads to. That of the default route has the family of its gateway.
func (r Route) destination() (netip.Prefix, error) {
	if r.Destination == "default" {
		if via, err := netip.ParseAddr(deref(r.Via)); err == nil && via.Is6() {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), nil
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	p, err := netip.ParsePrefix(r.Destination)
	if a, is := netip.ParseAddr(r.Destination); err != nil && is == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return p, err
}

// routeTypes are the types that a route may have (ip-route(8)).
func routeTypes() map[string]int {
	return map[string]int{"unicast": unix.RTN_UNICAST, "blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE, "prohibit": unix.RTN_PROHIBIT}
}

// Check finds what no route can be.
func (r Route) Check(report func(attr, summary, detail string)) {
	to, err := r.destination()
	switch {
	case err != nil:
		report("destination", "Invalid destination", fmt.Sprintf("%q is no network, such as 10.0.0.0/8, no address, and not \"default\".", r.Destination))
		return
	case to != to.Masked():
		report("destination", "Invalid destination", fmt.Sprintf("%s has bits set beyond its length; the network is %s.", to, to.Masked()))
	}
	for attr, text := range map[string]*string{"via": r.Via, "source": r.Source} {
		if text == nil {
			continue
		}
		if ip, err := netip.ParseAddr(*text); err != nil || ip.Is4() != to.Addr().Is4() {
			report(attr, "Invalid address", fmt.Sprintf("%q is no address of the destination's family.", *text))
		}
	}
	if r.Link != nil && !validName(*r.Link) {
		report("link", "Invalid name of a link", fmt.Sprintf("%q is no name of a link.", *r.Link))
	}
	kind := "unicast"
	if r.Type != nil {
		kind = *r.Type
	}
	switch _, known := routeTypes()[kind]; {
	case !known:
		report("type", "Unknown type of route", fmt.Sprintf("%q is none. The types are unicast, blackhole, unreachable and prohibit.", kind))
	case kind == "unicast" && r.Via == nil && r.Link == nil:
		report("", "A route that leads nowhere", "Set via, link, or both.")
	case kind != "unicast" && (r.Via != nil || r.Link != nil):
		report("type", "A route that leads nowhere", fmt.Sprintf("A route of type %s has neither via nor link.", kind))
	}
	if deref(r.OnLink) && (r.Via == nil || r.Link == nil) {
		report("onlink", "Unsupported attribute", "It says of the gateway in via that it is reached over link: set both.")
	}
	if r.Table != nil && (*r.Table < 1 || *r.Table > 1<<32-1) || deref(r.Table) == unix.RT_TABLE_LOCAL {
		report("table", "Invalid table", "It is a number of a routing table, and not that of the table local (255), which is the kernel's.")
	}
	if r.Metric != nil && (*r.Metric < 0 || *r.Metric > 1<<32-1) {
		report("metric", "Invalid metric", "It is a number and not below 0.")
	}
}

// request is the route as the kernel is told it.
func (r Route) request() (*netlink.Route, error) {
	at := r.slot()
	of := &netlink.Route{Dst: netOf(at.destination), Table: at.table, Priority: at.metric, Protocol: protocol, Type: unix.RTN_UNICAST, Scope: netlink.SCOPE_UNIVERSE}
	of.Family = family(at.destination.Addr())
	if r.Type != nil {
		of.Type = routeTypes()[*r.Type]
	}
	if r.Via == nil && of.Type == unix.RTN_UNICAST && of.Family == netlink.FAMILY_V4 {
		of.Scope = netlink.SCOPE_LINK
	}
	if deref(r.OnLink) {
		of.Flags = int(netlink.FLAG_ONLINK)
	}
	return of, complete(of, deref(r.Via), deref(r.Link), deref(r.Source))
}

// request is the route as it was.
func (f FoundRoute) request(at slot) (*netlink.Route, error) {
	of := &netlink.Route{Dst: netOf(at.destination), Table: at.table, Priority: at.metric, Protocol: netlink.RouteProtocol(f.Protocol),
		Type: f.Type, Scope: netlink.Scope(f.Scope), Flags: f.Flags, MTU: f.MTU}
	of.Family = family(at.destination.Addr())
	return of, complete(of, f.Via, f.Link, f.Source)
}

func complete(of *netlink.Route, via, link, source string) error {
	if a, err := netip.ParseAddr(via); err == nil {
		of.Gw = a.AsSlice()
	}
	if a, err := netip.ParseAddr(source); err == nil {
		of.Src = a.AsSlice()
	}
	if link == "" {
		return nil
	}
	l, err := needed(link)
	if err != nil {
		return err
	}
	of.LinkIndex = l.Attrs().Index
	return nil
}
