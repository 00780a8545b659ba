package net

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Network is a network block's own attributes.
type Network struct {
	// Persist says what brings the network up at boot besides opdbus-network.service.
	Persist *string `hcl:"persist,optional" json:"persist,omitempty"`
}

// Key is empty: a node has one.
func (Network) Key() string { return "" }

// networks is the provider of network blocks, which only expand: nothing on the host is a network as such.
type networks struct{}

func (*networks) Read(context.Context, Network) (*Network, error) { return nil, nil }
func (*networks) Apply(context.Context, *Network, *Network) error { return nil }

// Expand puts what is declared into the order in which it can be made, whatever the order of the blocks, and makes each address of a
// link an object of its own: it comes and goes by itself, and what others have added to the link is nobody's business.
func (*networks) Expand(_ context.Context, _ *state.Config, node *state.Node, self Network) state.Diagnostics {
	e := expansion{node: node, declared: map[string]state.Object{}}
	for _, d := range node.Objects {
		e.declared[d.Addr.Kind+" "+d.Addr.Key] = d.Object
	}
	for _, d := range node.Objects {
		e.add(d)
	}
	all := e.all
	// What a link is made on comes before it.
	depth := depths(all)
	slices.SortStableFunc(all, func(a, b state.Declared) int {
		return cmp.Or(rank(a, depth)-rank(b, depth), depth[deref(linkOf(a))]-depth[deref(linkOf(b))])
	})
	e.persist(self.Persist)
	node.Objects = e.all
	return e.diags
}

// An expansion is a node's objects on their way to what they come to.
type expansion struct {
	node     *state.Node
	declared map[string]state.Object // by kinds and names
	all      []state.Declared
	diags    state.Diagnostics
}

func (e *expansion) add(d state.Declared) {
	switch o := d.Object.(type) {
	case Link:
		e.addresses(d, o.Name, nil, o.Addresses)
		o.Addresses = nil
		d.Object = o
	case Port:
		e.addresses(d, o.Name, o.Netns, o.Addresses)
		o.Addresses = nil
		d.Object = o
	case WireGuard:
		e.addresses(d, o.Name, nil, o.Addresses)
		o.Addresses = nil
		d.Object = o
	case Bridge:
		e.addresses(d, o.Name, nil, o.Addresses)
		for _, name := range o.Ports {
			up := true
			if o.isKernels() {
				e.part(d, "ports", "link", name, Link{Name: name, Kind: existing, Master: &o.Name, Up: &up})
			} else {
				e.part(d, "ports", "port", name, Port{Name: name, Bridge: o.Name})
			}
		}
		o.Addresses, o.Ports = nil, nil
		d.Object = o
		if o.isKernels() {
			d.Addr.Kind, d.Object = "link", Link{Name: o.Name, Kind: "bridge"}
		}
	}
	e.all = append(e.all, d)
}

func (e *expansion) addresses(d state.Declared, link string, netns *string, all []string) {
	for _, text := range all {
		a := Address{Name: link + " " + text, Link: link, Address: text, Netns: netns}
		e.part(d, "addresses", "address", a.Name, a)
	}
}

// part is an object that an attribute of another stands for, unless it is declared itself, and says the same.
func (e *expansion) part(d state.Declared, attr, kind, key string, o state.Object) {
	switch own := e.declared[kind+" "+key].(type) {
	case nil:
	case Link:
		if part, ok := o.(Link); ok && deref(own.Master) != *part.Master {
			e.diags.Errorf(attrOf(d, attr), "A port that is declared itself", "link %q is declared in this node, and not as a port of %s: give it master = %q there.", key, *part.Master, *part.Master)
		}
		return
	case Port:
		if part, ok := o.(Port); ok && own.Bridge != part.Bridge {
			e.diags.Errorf(attrOf(d, attr), "A port that is declared itself", "port %q is declared in this node, for bridge %s. A port is on one bridge.", key, own.Bridge)
		}
		return
	default:
		return
	}
	of := state.Declared{Addr: state.Addr{Node: e.node.Addr, Kind: kind, Key: key}, Object: o, Sensitive: d.Sensitive, Source: d.Source}
	of.Attr = func(string) state.Range { return attrOf(d, attr) }
	e.all = append(e.all, of)
}

func attrOf(d state.Declared, name string) state.Range {
	if d.Attr == nil {
		return d.Source
	}
	return d.Attr(name)
}

// rank is when an object's turn is: what links come into being with is set before them, and what is theirs after.
func rank(d state.Declared, depth map[string]int) int {
	if s, ok := d.Object.(Sysctl); ok {
		for _, part := range strings.Split(s.path(), "/") {
			if depth[part] > 0 {
				return 2
			}
		}
		return 0
	}
	if _, ok := d.Object.(WireGuard); ok { // links may be made on it
		return 1
	}
	return 1 + slices.Index([]string{"link", "sysctl", "bridge", "port", "address", "route", "rule"}, d.Addr.Kind)
}

func linkOf(d state.Declared) *string {
	switch o := d.Object.(type) {
	case Link:
		return &o.Name
	case WireGuard:
		return &o.Name
	}
	return nil
}

// depths is, of each of the declared links, how many have to be there for it to be there.
func depths(all []state.Declared) map[string]int {
	links := map[string]Link{}
	for _, d := range all {
		switch o := d.Object.(type) {
		case Link:
			links[o.Name] = o
		case WireGuard:
			links[o.Name] = Link{Name: o.Name}
		}
	}
	var depth func(name string, seen int) int
	depth = func(name string, seen int) int {
		l, ok := links[name]
		if !ok || seen > len(links) { // a circle is the kernel's to refuse
			return 0
		}
		return 1 + max(depth(deref(l.Parent), seen+1), depth(deref(l.Master), seen+1))
	}
	found := map[string]int{}
	for name := range links {
		found[name] = depth(name, 0)
	}
	return found
}

func deref[T any](p *T) (t T) {
	if p != nil {
		t = *p
	}
	return t
}
