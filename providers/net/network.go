package net

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Network is a network block's own attributes, of which there are none.
type Network struct{}

// Key is empty: a node has one.
func (Network) Key() string { return "" }

// networks is the provider of network blocks, which only expand: nothing on the host is a network as such.
type networks struct{}

func (*networks) Read(context.Context, Network) (*Network, error) { return nil, nil }
func (*networks) Apply(context.Context, *Network, *Network) error { return nil }

// Expand puts what is declared into the order in which it can be made, whatever the order of the blocks, and makes each address of a
// link an object of its own: it comes and goes by itself, and what others have added to the link is nobody's business.
func (*networks) Expand(_ context.Context, _ *state.Config, node *state.Node, _ Network) state.Diagnostics {
	var all []state.Declared
	for _, d := range node.Objects {
		link, ok := d.Object.(Link)
		if !ok {
			all = append(all, d)
			continue
		}
		for _, text := range link.Addresses {
			a := Address{Name: link.Name + " " + text, Link: link.Name, Address: text}
			of := state.Declared{Addr: state.Addr{Node: node.Addr, Kind: "address", Key: a.Name}, Object: a, Sensitive: d.Sensitive, Source: d.Source}
			of.Attr = func(string) state.Range { return attrOf(d, "addresses") }
			all = append(all, of)
		}
		link.Addresses = nil
		d.Object = link
		all = append(all, d)
	}
	// What a link is made on comes before it.
	depth := depths(all)
	slices.SortStableFunc(all, func(a, b state.Declared) int {
		return cmp.Or(rank(a, depth)-rank(b, depth), depth[deref(linkOf(a))]-depth[deref(linkOf(b))])
	})
	node.Objects = all
	return nil
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
	return 1 + slices.Index([]string{"link", "sysctl", "address", "route", "rule"}, d.Addr.Kind)
}

func linkOf(d state.Declared) *string {
	if l, ok := d.Object.(Link); ok {
		return &l.Name
	}
	return nil
}

// depths is, of each of the declared links, how many have to be there for it to be there.
func depths(all []state.Declared) map[string]int {
	links := map[string]Link{}
	for _, d := range all {
		if l, ok := d.Object.(Link); ok {
			links[l.Name] = l
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
