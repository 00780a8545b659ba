package management

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// A Path is what of this host's network the connection goes by over which somebody runs opdbus.
type Path struct {
	Peer, Local netip.Addr
	Route       netlink.Route   // that packets to the peer take
	Links       map[string]bool // by which they go, and what these are made on, and have in them
	Bridges     map[string]bool // of Open vSwitch that these are ports of, and those joined to them by patch ports
	Ports       map[string]bool // all ports of these, and what they are made on: by one of them the peer is reached, and by which changes
}

// Find finds it out; nil where opdbus was not started over the network.
func Find(ctx context.Context, client *ovsdb.Client) (*Path, error) {
	peer, local, ok := Connection()
	if !ok || peer.IsLoopback() {
		return nil, nil
	}
	routes, err := netlink.RouteGetWithOptions(peer.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(routes) == 0 { // there is no way to it any more, or it came over something else
		return nil, nil
	}
	near, err := neighbourhood()
	if err != nil {
		return nil, err
	}
	p := &Path{Peer: peer, Local: local, Route: routes[0], Links: map[string]bool{}, Bridges: map[string]bool{}, Ports: map[string]bool{}}
	near.add(p.Links, near.byIndex[routes[0].LinkIndex])
	for _, hop := range routes[0].MultiPath {
		near.add(p.Links, near.byIndex[hop.LinkIndex])
	}
	return p, p.switched(ctx, client, near)
}

// A surroundings is all links of this network namespace.
type surroundings struct {
	byIndex map[int]netlink.Link
	byName  map[string]netlink.Link
}

func neighbourhood() (surroundings, error) {
	s := surroundings{map[int]netlink.Link{}, map[string]netlink.Link{}}
	all, err := netlink.LinkList()
	for range 50 { // while they change in the middle of the answer
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		all, err = netlink.LinkList()
	}
	if err != nil {
		return s, fmt.Errorf("cannot list the links: %w", err)
	}
	for _, l := range all {
		s.byIndex[l.Attrs().Index], s.byName[l.Attrs().Name] = l, l
	}
	return s, nil
}

// add adds a link, what it is made on, and what is in it. The other end of a veth is another link.
func (s surroundings) add(to map[string]bool, l netlink.Link) {
	if l == nil || to[l.Attrs().Name] {
		return
	}
	to[l.Attrs().Name] = true
	for _, name := range l.Attrs().AltNames {
		to[name] = true
	}
	if l.Attrs().NetNsID < 0 && l.Type() != "veth" {
		s.add(to, s.byIndex[l.Attrs().ParentIndex])
	}
	for _, in := range s.byIndex {
		if in.Attrs().MasterIndex == l.Attrs().Index {
			s.add(to, in)
		}
	}
}

// switched adds the bridges of Open vSwitch that one of the links is a port of, and the ports of these. The kernel knows nothing of it where the
// switch's datapath is not its own.
func (p *Path) switched(ctx context.Context, client *ovsdb.Client, near surroundings) error {
	every := ovsdb.Every()
	found, err := client.Query(ctx, ovsdb.Database, ovsdb.Select("Bridge", every, "name", "ports"),
		ovsdb.Select("Port", every, "_uuid", "name", "interfaces"), ovsdb.Select("Interface", every, "_uuid", "name", "type", "options"))
	if err != nil || len(found) == 0 {
		return err
	}
	interfaces := map[any]ovsdb.Row{}
	for _, r := range found[2].Rows {
		interfaces[r["_uuid"]] = r
	}
	ports := map[any]ovsdb.Row{}
	for _, r := range found[1].Rows {
		ports[r["_uuid"]] = r
	}
	type bridge struct {
		names map[string]bool // of its ports, and of the interfaces that are in these
		peers []string        // of its patch ports
	}
	all, of := map[string]bridge{}, map[string]string{}
	for _, r := range found[0].Rows {
		name, _ := r["name"].(string)
		b := bridge{names: map[string]bool{}}
		for _, id := range ovsdb.Elements(r["ports"]) {
			rows := []ovsdb.Row{ports[id]}
			for _, i := range ovsdb.Elements(ports[id]["interfaces"]) {
				rows = append(rows, interfaces[i])
				if interfaces[i]["type"] == "patch" {
					b.peers = append(b.peers, ovsdb.Strings(interfaces[i]["options"])["peer"])
				}
			}
			for _, row := range rows {
				if port, ok := row["name"].(string); ok {
					b.names[port], of[port] = true, name
				}
			}
		}
		all[name] = b
	}
	var on func(bridge string)
	on = func(name string) {
		b, known := all[name]
		if !known || p.Bridges[name] {
			return
		}
		p.Bridges[name] = true
		for port := range b.names {
			near.add(p.Ports, near.byName[port])
			p.Ports[port] = true // one that is no link of this host too
		}
		for _, peer := range b.peers {
			on(of[peer])
		}
	}
	for link := range p.Links {
		on(of[link])
	}
	return nil
}
