package net

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Apply makes a link, changes it, or deletes it.
func (p *links) Apply(_ context.Context, before, after *Link) error {
	var err error
	switch {
	case after != nil:
		if err = p.make(before, *after); err != nil {
			err = fmt.Errorf("cannot make link %s: %w", after.Name, explained(err))
		}
	case before == nil:
	case before.Kind == existing:
		if before.Found == nil {
			return nil
		}
		l, e := before.there()
		if err = e; e == nil && l != nil {
			err = errors.Join(p.set(l, *before.Found), before.Found.name(l))
		}
		if err != nil {
			err = fmt.Errorf("cannot set link %s back: %w", before.Name, explained(err))
		}
	default:
		if err = p.remove(*before); err != nil {
			err = fmt.Errorf("cannot delete link %s: %w", before.Name, explained(err))
		}
	}
	return err
}

// explained says what to do where the user may not do it.
func explained(err error) error {
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		return fmt.Errorf("%w: run opdbus as root", err)
	}
	return err
}

// make makes a link be there as it is wanted.
func (p *links) make(before *Link, want Link) error {
	there, err := want.there()
	if err != nil {
		return err
	}
	if there == nil {
		if want.Match != nil {
			return errors.New("there is no link that it matches: ip -d link shows the MAC addresses (permaddr where the link has another by now), udevadm info the paths (ID_PATH)")
		}
		if want.Kind == existing {
			return errors.New("there is no such link, and opdbus does not make one of kind existing")
		}
		if want.Up == nil { // one that is made is there to be used
			up := true
			want.Up = &up
		}
		if there, err = p.create(want); err != nil {
			return err
		}
		p.awaitTaken(want.Name)
	}
	if want.Kind != existing {
		all, err := around(there)
		if err != nil {
			return err
		}
		switch live := described(there, all); {
		case !live.own(&want) && !live.own(before):
			return errors.New("there is one that opdbus did not make")
		case there.Attrs().NetNsID < 0 && !as(there, all, want).alike(want):
			return errors.New("what it is made with cannot be changed")
		case !live.ours:
			if err := netlink.LinkSetAlias(there, mark); err != nil {
				return err
			}
		}
	}
	if err := want.name(there); err != nil {
		return err
	}
	return p.set(there, want)
}

// unfinished is the name of a link until it has opdbus' mark, which cannot be given to it in the moment in which it is made. So whatever
// has the name that is wanted has the mark, and what a cut leaves behind is known by its name.
func unfinished(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprintf("opdbus%08x", h.Sum32())
}

func (p *links) create(want Link) (netlink.Link, error) {
	names := []string{want.Name}
	if want.Kind == "veth" {
		peer, err := find(*want.Peer)
		if err == nil && peer != nil {
			err = fmt.Errorf("there is a link %s already, which was to be made as its peer: give the peer another name", *want.Peer)
		}
		if err != nil {
			return nil, err
		}
		names = []string{*want.Peer, want.Name} // the other end first: whatever has the one's name has all of it
	}
	for _, name := range names {
		if err := removeNamed(unfinished(name)); err != nil {
			return nil, err
		}
	}
	l, err := want.blueprint(unfinished(want.Name))
	if err != nil {
		return nil, err
	}
	if err := netlink.LinkAdd(l); err != nil {
		return nil, refused(err, want.Kind)
	}
	for _, step := range []func(l netlink.Link, name string) error{
		func(l netlink.Link, _ string) error { return awaitUdev(l.Attrs().Index) },
		func(l netlink.Link, _ string) error { return netlink.LinkSetAlias(l, mark) },
		netlink.LinkSetName,
	} {
		for _, name := range names {
			l, err := needed(unfinished(name))
			if err == nil {
				err = step(l, name)
			}
			if err != nil {
				return nil, errors.Join(err, removeNamed(unfinished(want.Name)))
			}
		}
	}
	return needed(want.Name)
}

// set changes what differs, and nothing else. What a link is in comes first, as that has a say in its mac, its mtu and whether it is up.
func (*links) set(l netlink.Link, want Link) error {
	wasUp := isUp(l)
	if want.Up != nil && !*want.Up && wasUp {
		if err := netlink.LinkSetDown(l); err != nil {
			return err
		}
	}
	if want.Master != nil {
		if err := setMaster(l, *want.Master); err != nil {
			return err
		}
	}
	l, err := netlink.LinkByIndex(l.Attrs().Index)
	if err != nil {
		return err
	}
	if want.MAC != nil {
		if err := setMAC(l, *want.MAC); err != nil {
			return err
		}
	}
	// A bridge keeps an mtu that is set, and follows its ports with one that it was made with: so it is not made with one.
	if want.MTU != nil && *want.MTU != l.Attrs().MTU {
		if err := netlink.LinkSetMTU(l, *want.MTU); err != nil {
			return fmt.Errorf("the mtu %d is refused: %w", *want.MTU, err)
		}
	}
	switch {
	case want.Up == nil && wasUp && !isUp(l), want.Up != nil && *want.Up && !isUp(l):
		err := netlink.LinkSetUp(l)
		if errors.Is(err, unix.ENETDOWN) {
			err = fmt.Errorf("%w: the link that it is made on has to be up", err)
		}
		return err
	case want.Up != nil && !*want.Up && isUp(l):
		return netlink.LinkSetDown(l)
	}
	return nil
}

func isUp(l netlink.Link) bool { return l.Attrs().Flags&net.FlagUp != 0 }

func setMAC(l netlink.Link, text string) error {
	mac, err := net.ParseMAC(text)
	if err != nil || mac.String() == l.Attrs().HardwareAddr.String() {
		return err
	}
	err = netlink.LinkSetHardwareAddr(l, mac)
	if errors.Is(err, unix.EBUSY) && isUp(l) { // some drivers take it only while the link is down
		if err = netlink.LinkSetDown(l); err == nil {
			err = errors.Join(netlink.LinkSetHardwareAddr(l, mac), netlink.LinkSetUp(l))
		}
	}
	if err != nil {
		return fmt.Errorf("the mac %s is refused: %w", mac, err)
	}
	return nil
}

func setMaster(l netlink.Link, name string) error {
	if name == "" {
		if l.Attrs().MasterIndex == 0 {
			return nil
		}
		return netlink.LinkSetNoMaster(l)
	}
	master, err := needed(name)
	if err != nil || master.Attrs().Index == l.Attrs().MasterIndex {
		return err
	}
	if _, is := master.(*netlink.Bond); is && isUp(l) { // a bond takes none that is up, and makes it be up
		if err := netlink.LinkSetDown(l); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetMasterByIndex(l, master.Attrs().Index); err != nil {
		return fmt.Errorf("link %s does not take it: %w", name, err)
	}
	return nil
}

// remove deletes a link that opdbus made, and what a cut left of making it.
func (*links) remove(made Link) error {
	l, err := find(made.Name)
	if err != nil {
		return err
	}
	ours := l != nil && isMark(l.Attrs().Alias)
	if l != nil && !ours && made.Networkd {
		all, err := around(l)
		if err != nil {
			return err
		}
		ours = described(l, all).own(&made)
	}
	if ours {
		if err := netlink.LinkDel(l); err != nil && !gone(err) {
			return err
		}
	}
	return removeNamed(unfinished(made.Name))
}

func removeNamed(name string) error {
	l, err := find(name)
	if err != nil || l == nil {
		return err
	}
	if err := netlink.LinkDel(l); err != nil && !gone(err) {
		return err
	}
	return nil
}
