package net

import (
	"context"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/opdbus/opdbus/providers/internal/management"
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// A connection is the one over which somebody runs opdbus, and what of the network carries it.
type connection struct {
	*management.Path
	way slot // the route that its packets take
}

// connections find it out once, when they are asked first.
type connections struct {
	client *ovsdb.Client

	once  sync.Once
	found *connection
	err   error
}

// get is the connection; nil where opdbus was not started over the network.
func (c *connections) get(ctx context.Context) (*connection, error) {
	c.once.Do(func() {
		path, err := management.Find(ctx, c.client)
		if c.err = err; err == nil && path != nil {
			c.found = &connection{path, slotOf(path.Route)}
		}
	})
	return c.found, c.err
}

func (c *connection) carries(what string) string {
	return what + " your connection from " + c.Peer.String()
}

// Endangers says of links that they carry the connection.
func (p *links) Endangers(ctx context.Context, before, after *Link) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil || before == nil {
		return "", err
	}
	name := before.Name
	if before.Match != nil { // it may not have the name yet
		l, err := before.there()
		if err != nil || l == nil {
			return "", err
		}
		name = l.Attrs().Name
	}
	if !c.Links[name] && !c.Ports[name] {
		return "", nil
	}
	return c.carries("carries"), nil
}

// Endangers says of bridges that one of their ports, such as their own link, carries the connection.
func (p *bridges) Endangers(ctx context.Context, before, after *Bridge) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil || before == nil || !c.Bridges[before.Name] {
		return "", err
	}
	return c.carries("carries"), nil
}

// Endangers says of ports that they are the link of the connection, which is the switch's then, or are on the bridge that carries it.
func (p *ports) Endangers(ctx context.Context, before, after *Port) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil {
		return "", err
	}
	switch {
	case before != nil && c.Links[before.Name], after != nil && c.Links[after.Name]:
		return c.carries("is the link of"), nil
	case before != nil && c.Bridges[before.Bridge]: // one that only comes cuts nothing
		return c.carries("is on the bridge of"), nil
	}
	return "", nil
}

// Endangers says of addresses that the connection is to them, or that what is near it is found by them.
func (p *addresses) Endangers(ctx context.Context, before, after *Address) (string, error) {
	c, err := p.connections.get(ctx)
	switch {
	case err != nil || c == nil:
	case before != nil && (after == nil || !after.Same(*before)) && before.prefix().Addr() == c.Local:
		return c.carries("is the end of"), nil
	case before != nil && (after == nil || !after.Same(*before)) && c.Links[before.Link]:
		return c.carries("is on the link of"), nil
	case after != nil && before == nil && !c.Links[after.Link] && after.prefix().Masked().Contains(c.Peer):
		return c.carries("draws to link " + after.Link), nil
	}
	return "", err
}

// Endangers says of routes that the connection's packets take them, or will.
func (p *routes) Endangers(ctx context.Context, before, after *Route) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil {
		return "", err
	}
	takes := func(r *Route) bool {
		if r == nil {
			return false
		}
		at := r.slot()
		nearer := at.destination.Bits() - c.way.destination.Bits()
		return at.table == c.way.table && at.destination.Contains(c.Peer) && (nearer > 0 || nearer == 0 && at.metric <= c.way.metric)
	}
	if takes(before) || takes(after) {
		return c.carries("is the way of"), nil
	}
	return "", nil
}

// Endangers says of rules that they are about the connection's packets, which have no mark that is known.
func (p *rules) Endangers(ctx context.Context, before, after *Rule) (string, error) {
	c, err := p.connections.get(ctx)
	if err != nil || c == nil {
		return "", err
	}
	about := func(r *Rule) bool {
		if r == nil {
			return false
		}
		s := r.sense()
		return (s.family == netlink.FAMILY_V6) == c.Peer.Is6() && s.mark == 0 && slices.Contains([]string{"", "lo"}, s.iif) && (s.oif == "" || c.Links[s.oif]) &&
			(!s.from.IsValid() || s.from.Contains(c.Local)) && (!s.to.IsValid() || s.to.Contains(c.Peer))
	}
	if about(before) || about(after) {
		return c.carries("says by which table goes"), nil
	}
	return "", nil
}
