package net

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// protocol marks routes and rules as opdbus' own (rtm_protocol, rtnetlink(7)). It is none of those in iproute2's rt_protos.
const protocol = 111

// dump asks the kernel for all there is of something, again while it changes in the middle of the answer (NLM_F_DUMP_INTR).
func dump[T any](what string, ask func() (T, error)) (T, error) {
	const often = 50
	var all T
	var err error
	for range often {
		if all, err = ask(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot list the %s: %w", what, err)
	}
	return all, err
}

// A table is all links by their names, alternative ones too, and numbers.
type table struct {
	named    map[string]netlink.Link
	numbered map[int]netlink.Link
}

func allLinks() (table, error) {
	all, err := dump("links", netlink.LinkList)
	t := table{make(map[string]netlink.Link, len(all)), make(map[int]netlink.Link, len(all))}
	for _, l := range all {
		t.add(l)
	}
	return t, err
}

func (t table) add(l netlink.Link) {
	t.numbered[l.Attrs().Index] = l
	for _, name := range names(l) {
		t.named[name] = l
	}
}

// as is the name of a link, as it is wanted where that is another one of the same link's.
func (t table) as(live, want *string) *string {
	if live != nil && want != nil && t.named[*want] != nil && t.named[*want] == t.named[*live] {
		return want
	}
	return live
}

// around is a link, and those of this network namespace that it is made on or in. It takes as long however many others there are.
func around(l netlink.Link) (table, error) {
	at := l.Attrs()
	t := table{map[string]netlink.Link{}, map[int]netlink.Link{}}
	t.add(l)
	indexes := []int{at.MasterIndex, at.ParentIndex}
	if of, is := l.(*netlink.Vxlan); is {
		indexes = append(indexes, of.VtepDevIndex)
	}
	for _, index := range indexes {
		if index <= 0 {
			continue
		}
		near, err := netlink.LinkByIndex(index)
		var none netlink.LinkNotFoundError
		switch {
		case errors.As(err, &none): // it is in another network namespace
		case err != nil:
			return t, err
		default:
			t.add(near)
		}
	}
	return t, nil
}

// name is that of a link by its number; empty for none.
func (t table) name(index int) string {
	if l := t.numbered[index]; l != nil {
		return l.Attrs().Name
	}
	return ""
}

// find looks up one link; nil when there is none of that name.
func find(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil, nil
	}
	return l, err
}

// needed looks up a link that has to be there.
func needed(name string) (netlink.Link, error) {
	l, err := find(name)
	if err == nil && l == nil {
		err = fmt.Errorf("there is no link %s", name)
	}
	return l, err
}

// gone says that what was to be deleted is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENOENT)
}

// validName says whether the kernel takes a name for a link (dev_valid_name).
func validName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) >= unix.IFNAMSIZ {
		return false
	}
	for _, c := range []byte(name) {
		if c == '/' || c == ':' || c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
