package net

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/opdbus/opdbus/state"
)

// An Address is an IP address of a link.
type Address struct {
	Name    string `hcl:"name,label" json:"name"`
	Link    string `hcl:"link" json:"link"`
	Address string `hcl:"address" json:"address"`
	// Netns is the network namespace that the link is in.
	Netns *string `hcl:"netns,optional" json:"netns,omitempty"`

	// Found says that the address was there before.
	Found bool `json:"found,omitempty"`

	former *Address // what it is made from, until it is there
}

// Key is the label.
func (a Address) Key() string { return a.Name }

// Thing says that an address of a link is one thing, however it is written.
func (a Address) Thing() string {
	thing := fmt.Sprintf("address %s of link %s", a.prefix(), a.Link)
	if netns := deref(a.Netns); netns != "" {
		thing += " in network namespace " + netns
	}
	return thing
}

// Same compares the address and the link.
func (a Address) Same(other state.Object) bool {
	o, ok := other.(Address)
	return ok && a.alike(o) && deref(a.Netns) == deref(o.Netns)
}

// alike compares all but the network namespace, into which the link takes its addresses with it.
func (a Address) alike(o Address) bool { return a.Link == o.Link && a.prefix() == o.prefix() }

func (a Address) prefix() netip.Prefix {
	p, _ := parseAddress(a.Address)
	return p
}

func parseAddress(text string) (netip.Prefix, error) { return netip.ParsePrefix(text) }

// Check finds what is no address of a link.
func (a Address) Check(report func(attr, summary, detail string)) {
	if !validName(a.Link) {
		report("link", "Invalid name of a link", fmt.Sprintf("%q is no name of a link.", a.Link))
	}
	checkNamespace(a.Netns, report)
	if _, err := parseAddress(a.Address); err != nil {
		report("address", "Invalid address", fmt.Sprintf("%q is no address with the length of its network, such as 10.0.0.1/24.", a.Address))
	}
}

// addresses is the provider of addresses.
type addresses struct{ connections *connections }

// Live says that addresses are a state of the running kernel, for state.Live.
func (*addresses) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*addresses) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*addresses) Overlaps() {}

// Read reads one.
func (p *addresses) Read(ctx context.Context, want Address) (*Address, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Address]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by two dumps of each network namespace.
func (p *addresses) ReadAll(_ context.Context, items []state.Item[Address]) ([]*Address, error) {
	known := map[string]addressed{}
	in := func(netns string) (addressed, error) {
		if at, read := known[netns]; read {
			return at, nil
		}
		at, err := addressesIn(netns)
		known[netns] = at
		return at, err
	}
	lives := make([]*Address, len(items))
	for i, it := range items {
		candidates := []Address{it.Want}
		if former := it.Want.former; former != nil {
			moved := it.Want
			moved.Netns = former.Netns // with its link, before it was told
			candidates = append(candidates, moved, *former)
		}
		for _, live := range candidates {
			at, err := in(deref(live.Netns))
			if err != nil {
				return nil, err
			}
			if live.former = nil; at.has(live) {
				lives[i] = &live
				break
			}
		}
	}
	return lives, nil
}

// addressed is which links of a network namespace have which addresses.
type addressed struct {
	links table
	by    map[int]map[netip.Prefix]bool // the links' numbers
}

func (at addressed) has(a Address) bool {
	l := at.links.named[a.Link]
	return l != nil && at.by[l.Attrs().Index][a.prefix()]
}

func addressesIn(netns string) (at addressed, err error) {
	err = maybeInside(netns, func() (err error) {
		if at.links, err = allLinks(); err != nil {
			return err
		}
		list, err := dump("addresses", func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
		at.by = map[int]map[netip.Prefix]bool{}
		for _, a := range list {
			if at.by[a.LinkIndex] == nil {
				at.by[a.LinkIndex] = map[netip.Prefix]bool{}
			}
			at.by[a.LinkIndex][prefixOf(a.IPNet)] = true
		}
		return err
	})
	return at, err
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits)
}

func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// List is all addresses of all links.
func (p *addresses) List(context.Context) ([]Address, error) {
	at, err := addressesIn("")
	if err != nil {
		return nil, err
	}
	var all []Address
	for index, of := range at.by {
		for prefix := range of {
			link := at.links.name(index)
			all = append(all, Address{Name: link + " " + prefix.String(), Link: link, Address: prefix.String()})
		}
	}
	slices.SortFunc(all, func(a, b Address) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Owns says whether the address came with opdbus.
func (*addresses) Owns(made *Address, _ Address) bool { return made != nil && !made.Found }

// Claim takes over an address that is there: it stays when it is no longer wanted.
func (*addresses) Claim(want, live Address) (Address, error) {
	if !want.Same(live) {
		return want, fmt.Errorf("address %s of link %s was there before opdbus came, and stays: give the other address a name of its own", live.Address, live.Link)
	}
	want.Found = true
	return want, nil
}

// PlanAll keeps what was found, and remembers what an address is made from.
func (*addresses) PlanAll(_ context.Context, items []state.Planned[Address]) error {
	for i, it := range items {
		if it.Want == nil || it.Made == nil {
			continue
		}
		if it.Made.alike(*it.Want) {
			items[i].Want.Found = it.Made.Found
		}
		if !it.Made.Same(*it.Want) {
			items[i].Want.former = it.Made
		}
	}
	return nil
}

// Apply adds an address before it takes another away.
func (p *addresses) Apply(_ context.Context, before, after *Address) error {
	if after != nil {
		if err := p.add(*after, before); err != nil {
			return fmt.Errorf("cannot add address %s to link %s: %w", after.Address, after.Link, err)
		}
	}
	if before != nil && !before.Found && (after == nil || !after.alike(*before)) {
		err := maybeInside(deref(before.Netns), func() error { return p.remove(*before) })
		if err != nil {
			return fmt.Errorf("cannot take address %s from link %s: %w", before.Address, before.Link, err)
		}
	}
	return nil
}

// add has the address be on the link: where that is still in the network namespace that it was in, there, as the link takes its addresses with it.
func (p *addresses) add(a Address, before *Address) error {
	netns := deref(a.Netns)
	if before != nil && deref(before.Netns) != netns {
		is, there, err := among(a.Link, netns, deref(before.Netns))
		if err != nil {
			return err
		}
		if there {
			netns = is
		}
	}
	return inside(netns, func() error {
		l, err := needed(a.Link)
		if err != nil {
			return err
		}
		there, err := p.has(l, a)
		if err != nil || there {
			return err
		}
		return netlink.AddrAdd(l, &netlink.Addr{IPNet: netOf(a.prefix())})
	})
}

func (*addresses) has(l netlink.Link, a Address) (bool, error) {
	list, err := dump("addresses", func() ([]netlink.Addr, error) { return netlink.AddrList(l, family(a.prefix().Addr())) })
	return slices.ContainsFunc(list, func(b netlink.Addr) bool { return prefixOf(b.IPNet) == a.prefix() }), err
}

func (p *addresses) remove(a Address) error {
	l, err := find(a.Link)
	if err != nil || l == nil {
		return err
	}
	there, err := p.has(l, a)
	if err != nil || !there {
		return err
	}
	return keepingOthers(l, a, func() error {
		if err := netlink.AddrDel(l, &netlink.Addr{IPNet: netOf(a.prefix())}); err != nil && !gone(err) {
			return err
		}
		return nil
	})
}

// keepingOthers has the kernel keep the other addresses of the same network: unless told so, it deletes them with the first of them
// (promote_secondaries, Documentation/networking/ip-sysctl.rst).
func keepingOthers(l netlink.Link, a Address, do func() error) error {
	if a.prefix().Addr().Is6() {
		return do()
	}
	setting := "/proc/sys/net/ipv4/conf/" + l.Attrs().Name + "/promote_secondaries"
	was, err := os.ReadFile(setting)
	if err != nil {
		return err
	}
	if string(was) != "0\n" {
		return do()
	}
	if err := write(setting, "1\n"); err != nil {
		return err
	}
	return errors.Join(do(), write(setting, string(was)))
}

func family(a netip.Addr) int {
	if a.Is6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}
