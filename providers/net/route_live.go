package net

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// routes is the provider of routes.
type routes struct{ connections *connections }

// Live says that routes are a state of the running kernel, for state.Live.
func (*routes) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*routes) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*routes) Overlaps() {}

// Read reads one.
func (p *routes) Read(ctx context.Context, want Route) (*Route, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Route]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by two dumps.
func (p *routes) ReadAll(_ context.Context, items []state.Item[Route]) ([]*Route, error) {
	all, err := p.all(items)
	if err != nil {
		return nil, err
	}
	lives := make([]*Route, len(items))
	for i, it := range items {
		if live := all[it.Want.slot()]; live != nil {
			lives[i] = live.as(it.Want)
		} else if former := it.Want.former; former != nil {
			if live := all[former.slot()]; live != nil && live.ours {
				lives[i] = live.as(*former)
			}
		}
	}
	return lives, nil
}

// all are the routes in the slots of the items; of several in one slot, opdbus' own.
func (p *routes) all(items []state.Item[Route]) (map[slot]*Route, error) {
	links, err := allLinks()
	if err != nil {
		return nil, err
	}
	list, err := listRoutes()
	if err != nil {
		return nil, err
	}
	wanted := make(map[slot]bool, len(items))
	for _, it := range items {
		wanted[it.Want.slot()] = true
		if it.Want.former != nil {
			wanted[it.Want.former.slot()] = true
		}
	}
	all := make(map[slot]*Route, len(items))
	for _, from := range list {
		at := slotOf(from)
		if !wanted[at] || all[at] != nil && (all[at].ours || from.Protocol != protocol) {
			continue
		}
		all[at] = describedRoute(from, links)
	}
	return all, nil
}

// listRoutes are the routes of all tables but local, whose are the kernel's own.
func listRoutes() ([]netlink.Route, error) {
	list, err := dump("routes", func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	return slices.DeleteFunc(list, func(r netlink.Route) bool {
		return r.Table == unix.RT_TABLE_LOCAL || r.Flags&unix.RTM_F_CLONED != 0 || r.Family != netlink.FAMILY_V4 && r.Family != netlink.FAMILY_V6
	}), err
}

func slotOf(r netlink.Route) slot {
	to := prefixOf(r.Dst)
	if !to.IsValid() {
		to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if r.Family == netlink.FAMILY_V6 {
			to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	return slot{to, r.Table, r.Priority}
}

func describedRoute(from netlink.Route, links table) *Route {
	at := slotOf(from)
	link, onLink := links.name(from.LinkIndex), from.Flags&int(netlink.FLAG_ONLINK) != 0
	r := &Route{Destination: at.destination.String(), Table: &at.table, Metric: &at.metric, Via: ipText(from.Gw), Source: ipText(from.Src), OnLink: &onLink, ours: from.Protocol == protocol}
	if link != "" {
		r.Link, r.names = &link, names(links.numbered[from.LinkIndex])
	}
	kind := fmt.Sprintf("%d", from.Type)
	for name, number := range routeTypes() {
		if number == from.Type {
			kind = name
		}
	}
	r.Type = &kind
	if len(from.MultiPath) == 0 {
		r.found = &FoundRoute{Via: deref(r.Via), Link: link, Source: deref(r.Source), Type: from.Type, Scope: int(from.Scope), Protocol: int(from.Protocol), Flags: from.Flags & int(netlink.FLAG_ONLINK), MTU: from.MTU}
	}
	return r
}

// as is a route in the words of what is wanted.
func (r *Route) as(want Route) *Route {
	live := Route{Name: want.Name, Destination: want.Destination, Table: want.Table, Metric: want.Metric, Found: want.Found, ours: r.ours, found: r.found}
	// A route is replaced as a whole, so that all of it is managed. What the kernel finds out by itself, or takes for granted, is left out.
	live.Via, live.Source = r.Via, r.Source
	if want.Link != nil || r.Via == nil && deref(r.Type) == "unicast" { // those that lead nowhere lead to lo
		live.Link = r.Link
		if want.Link != nil && slices.Contains(r.names, *want.Link) {
			live.Link = want.Link
		}
	}
	if want.OnLink != nil || deref(r.OnLink) {
		live.OnLink = r.OnLink
	}
	if want.Type != nil || deref(r.Type) != "unicast" {
		live.Type = r.Type
	}
	return &live
}

// List is the routes that somebody has set, in all tables.
func (p *routes) List(context.Context) ([]Route, error) {
	links, err := allLinks()
	if err != nil {
		return nil, err
	}
	list, err := listRoutes()
	if err != nil {
		return nil, err
	}
	var all []Route
	for _, from := range list {
		if from.Protocol == unix.RTPROT_KERNEL {
			continue
		}
		r := describedRoute(from, links)
		r.Name = fmt.Sprintf("%s metric %d table %d", r.Destination, *r.Metric, *r.Table)
		all = append(all, *r)
	}
	slices.SortStableFunc(all, func(a, b Route) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Owns says whether the route is opdbus' own.
func (*routes) Owns(made *Route, live Route) bool { return made != nil && live.ours }

// Claim takes the place of a route over the same link, and keeps that one.
func (*routes) Claim(want, live Route) (Route, error) {
	found := live.found
	switch {
	case found == nil:
		return want, fmt.Errorf("there is a route to %s already, over several links: set another metric", want.Destination)
	case found.Protocol == unix.RTPROT_KERNEL:
		return want, fmt.Errorf("the kernel has a route to %s already, by the addresses of link %s: set another metric", want.Destination, found.Link)
	case want.Link != nil && !equal(want.Link, live.Link):
		return want, fmt.Errorf("there is a route to %s already, over link %s, which opdbus did not make: set another metric, so that both are there", want.Destination, found.Link)
	}
	want.Found = found
	return want, nil
}

// PlanAll keeps what was found, and remembers what a route is made from.
func (*routes) PlanAll(_ context.Context, items []state.Planned[Route]) error {
	for i, it := range items {
		if it.Want == nil || it.Made == nil {
			continue
		}
		if it.Made.slot() == it.Want.slot() {
			items[i].Want.Found = it.Made.Found
		} else {
			items[i].Want.former = it.Made
		}
	}
	return nil
}

// Apply puts a route into its place in one step, so that there is no moment without one, before it takes another away.
func (p *routes) Apply(_ context.Context, before, after *Route) error {
	if after != nil {
		if err := p.put(*after); err != nil {
			return fmt.Errorf("cannot set route %s to %s: %w", after.Name, after.Destination, err)
		}
	}
	if before != nil && (after == nil || after.slot() != before.slot()) {
		if err := p.remove(*before); err != nil {
			return fmt.Errorf("cannot take away route %s to %s: %w", before.Name, before.Destination, err)
		}
	}
	return nil
}

func (p *routes) put(want Route) error {
	all, err := p.all([]state.Item[Route]{{Want: want}})
	if err != nil {
		return err
	}
	live := all[want.slot()]
	if live != nil && live.ours && live.as(want).Same(want) {
		return nil
	}
	request, err := want.request()
	if err != nil {
		return err
	}
	return explainedRoute(netlink.RouteReplace(request), want)
}

func explainedRoute(err error, want Route) error {
	switch {
	case errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH):
		return fmt.Errorf("%w: no address of a link that is up is in one network with the gateway %s; where that is as it should be, set onlink", err, deref(want.Via))
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w: link %s is down", err, deref(want.Link))
	}
	return err
}

func (p *routes) remove(made Route) error {
	at := made.slot()
	all, err := p.all([]state.Item[Route]{{Want: made}})
	if err != nil {
		return err
	}
	live := all[at]
	if live == nil && made.Found == nil || live != nil && !live.ours {
		return nil
	}
	if made.Found != nil {
		request, err := made.Found.request(at)
		if err == nil {
			err = netlink.RouteReplace(request)
		}
		if err != nil {
			return fmt.Errorf("cannot put back the one that was there: %w", err)
		}
		return nil
	}
	request := &netlink.Route{Dst: netOf(at.destination), Table: at.table, Priority: at.metric, Protocol: protocol, Family: family(at.destination.Addr()), Scope: netlink.SCOPE_NOWHERE}
	if deref(live.Type) != "unicast" {
		request.Type = routeTypes()[*live.Type]
	}
	if err := netlink.RouteDel(request); err != nil && !gone(err) {
		return err
	}
	return nil
}

// Disturbs says whose way changes.
func (*routes) Disturbs(before, after *Route) []string {
	for _, r := range []*Route{after, before} {
		if r != nil && r.slot().destination.Bits() == 0 && r.slot().table == unix.RT_TABLE_MAIN {
			return []string{"changes where everything goes for which there is no other route"}
		}
	}
	return nil
}
