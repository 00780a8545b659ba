package net

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/opdbus/opdbus/providers/internal/management"
)

// A connection is the one over which somebody runs opdbus, and what of the network carries it.
type connection struct {
	peer, local netip.Addr
	links       map[string]bool // by which its packets go, and what these are made on
	way         slot            // the route that they take
}

// connections find it out once, when they are asked first.
type connections struct {
	once  sync.Once
	found *connection
	err   error
}

// get is the connection; nil where opdbus was not started over the network.
func (c *connections) get() (*connection, error) {
	c.once.Do(func() {
		if peer, local, ok := management.Connection(); ok {
			c.found, c.err = carriers(peer, local)
		}
	})
	return c.found, c.err
}

func carriers(peer, local netip.Addr) (*connection, error) {
	if peer.IsLoopback() {
		return nil, nil
	}
	routes, err := netlink.RouteGetWithOptions(peer.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(routes) == 0 { // there is no way to it any more, or it came over something else
		return nil, nil
	}
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	c := &connection{peer: peer, local: local, links: map[string]bool{}, way: slotOf(routes[0])}
	var on func(index int)
	on = func(index int) {
		l := all.numbered[index]
		if l == nil || c.links[l.Attrs().Name] {
			return
		}
		for _, name := range names(l) {
			c.links[name] = true
		}
		if l.Attrs().NetNsID < 0 && l.Type() != "veth" {
			on(l.Attrs().ParentIndex)
		}
		for _, port := range all.numbered {
			if port.Attrs().MasterIndex == index {
				on(port.Attrs().Index)
			}
		}
	}
	on(routes[0].LinkIndex)
	for _, hop := range routes[0].MultiPath {
		on(hop.LinkIndex)
	}
	return c, nil
}

func (c *connection) carries(what string) string {
	return what + " your connection from " + c.peer.String()
}

// Endangers says of links that they carry the connection.
func (p *links) Endangers(_ context.Context, before, after *Link) (string, error) {
	c, err := p.connections.get()
	if err != nil || c == nil || before == nil || !c.links[before.Name] {
		return "", err
	}
	return c.carries("carries"), nil
}

// Endangers says of bridges that their own link carries the connection.
func (p *bridges) Endangers(_ context.Context, before, after *Bridge) (string, error) {
	c, err := p.connections.get()
	if err != nil || c == nil || before == nil || !c.links[before.Name] {
		return "", err
	}
	return c.carries("carries"), nil
}

// Endangers says of ports that they are the link of the connection, which is the switch's then, or are on the bridge that carries it.
func (p *ports) Endangers(_ context.Context, before, after *Port) (string, error) {
	c, err := p.connections.get()
	if err != nil || c == nil {
		return "", err
	}
	switch {
	case before != nil && c.links[before.Name], after != nil && c.links[after.Name]:
		return c.carries("is the link of"), nil
	case before != nil && c.links[before.Bridge]: // one that only comes cuts nothing
		return c.carries("is on the bridge of"), nil
	}
	return "", nil
}

// Endangers says of addresses that the connection is to them, or that what is near it is found by them.
func (p *addresses) Endangers(_ context.Context, before, after *Address) (string, error) {
	c, err := p.connections.get()
	switch {
	case err != nil || c == nil:
	case before != nil && (after == nil || !after.Same(*before)) && before.prefix().Addr() == c.local:
		return c.carries("is the end of"), nil
	case before != nil && (after == nil || !after.Same(*before)) && c.links[before.Link]:
		return c.carries("is on the link of"), nil
	case after != nil && before == nil && !c.links[after.Link] && after.prefix().Masked().Contains(c.peer):
		return c.carries("draws to link " + after.Link), nil
	}
	return "", err
}

// Endangers says of routes that the connection's packets take them, or will.
func (p *routes) Endangers(_ context.Context, before, after *Route) (string, error) {
	c, err := p.connections.get()
	if err != nil || c == nil {
		return "", err
	}
	takes := func(r *Route) bool {
		if r == nil {
			return false
		}
		at := r.slot()
		nearer := at.destination.Bits() - c.way.destination.Bits()
		return at.table == c.way.table && at.destination.Contains(c.peer) && (nearer > 0 || nearer == 0 && at.metric <= c.way.metric)
	}
	if takes(before) || takes(after) {
		return c.carries("is the way of"), nil
	}
	return "", nil
}

// Endangers says of rules that they are about the connection's packets, which have no mark that is known.
func (p *rules) Endangers(_ context.Context, before, after *Rule) (string, error) {
	c, err := p.connections.get()
	if err != nil || c == nil {
		return "", err
	}
	about := func(r *Rule) bool {
		if r == nil {
			return false
		}
		s := r.sense()
		return (s.family == netlink.FAMILY_V6) == c.peer.Is6() && s.mark == 0 && slices.Contains([]string{"", "lo"}, s.iif) && (s.oif == "" || c.links[s.oif]) &&
			(!s.from.IsValid() || s.from.Contains(c.local)) && (!s.to.IsValid() || s.to.Contains(c.peer))
	}
	if about(before) || about(after) {
		return c.carries("says by which table goes"), nil
	}
	return "", nil
}
