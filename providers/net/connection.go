package net

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
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
		if peer, local, ok := sshConnection(); ok {
			c.found, c.err = carriers(peer, local)
		}
	})
	return c.found, c.err
}

// sshConnection is who runs opdbus by ssh(1): SSH_CONNECTION of this process or of one that started it, as sudo(8) does not hand it on.
func sshConnection() (peer, local netip.Addr, ok bool) {
	environ := os.Environ()
	for pid := os.Getpid(); ; {
		for _, e := range environ {
			words := strings.Fields(strings.TrimPrefix(e, "SSH_CONNECTION="))
			if !strings.HasPrefix(e, "SSH_CONNECTION=") || len(words) != 4 {
				continue
			}
			peer, err := netip.ParseAddr(words[0])
			local, other := netip.ParseAddr(words[2])
			return peer.Unmap(), local.Unmap(), err == nil && other == nil
		}
		if pid = parent(pid); pid <= 1 {
			return peer, local, false
		}
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil { // another user's, which somebody who may not look cannot change the network for either
			return peer, local, false
		}
		environ = strings.Split(string(content), "\x00")
	}
}

// parent is the process that started one (proc_pid_stat(5)); 0 for none.
func parent(pid int) int {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	at := bytes.LastIndexByte(content, ')') // a name may have any character before it
	fields := strings.Fields(string(content[at+1:]))
	if err != nil || len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
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
		c.links[l.Attrs().Name] = true
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
