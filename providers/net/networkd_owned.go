package net

import (
	"errors"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// own says whether a link is the one that opdbus made: it has the mark or, where networkd may have made it by opdbus' file, is just as it was made. What
// only one of the two says of how it is made is not compared.
func (l Link) own(made *Link) bool {
	return l.ours || made != nil && made.Networkd && l.Name == made.Name && l.managed(*made).alike(made.managed(l))
}

// protocol is the one that a rule is made with. Networkd cannot be told another one than that of its own rules, and would add one beside a rule with
// another protocol, which is another rule to the kernel.
func (r Rule) protocol() int {
	if r.Networkd {
		return unix.RTPROT_STATIC
	}
	return protocol
}

// own says whether a rule that is there, with a protocol, is the one that opdbus made.
func (r Rule) own(has int) bool { return has == protocol || !r.Found && has == r.protocol() }

// lacks says of a rule that is there, with a protocol, whether it is one of networkd's, which has not opdbus' mark.
func (r Rule) lacks(has int) bool {
	switch {
	case r.Found:
		return r.Networkd
	case r.Networkd:
		return has == unix.RTPROT_STATIC
	}
	return r.marked && has == unix.RTPROT_STATIC
}

// remark puts a rule with the protocol that it is to have beside one that has another, and takes that away then: where they differ in that, the
// kernel takes both.
func (r Rule) remark(has int) error {
	if err := netlink.RuleAdd(r.request()); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	all, err := listRules()
	is := func(k kernelRule) bool { return k.sense == r.sense() && k.protocol == r.protocol() }
	if err != nil || !slices.ContainsFunc(all, is) {
		return errors.Join(err, errors.New("the kernel does not take it with another protocol"))
	}
	of := r.request()
	of.Protocol = uint8(has)
	if err := netlink.RuleDel(of); err != nil && !gone(err) {
		return err
	}
	return nil
}
