package net

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A Rule says which routing table a packet's way is looked up in.
type Rule struct {
	Name     string  `hcl:"name,label" json:"name"`
	Priority int     `hcl:"priority" json:"priority"`
	Table    *int    `hcl:"table,optional" json:"table,omitempty"`
	Family   *string `hcl:"family,optional" json:"family,omitempty"`
	From     *string `hcl:"from,optional" json:"from,omitempty"`
	To       *string `hcl:"to,optional" json:"to,omitempty"`
	IIF      *string `hcl:"iif,optional" json:"iif,omitempty"`
	OIF      *string `hcl:"oif,optional" json:"oif,omitempty"`
	FwMark   *int    `hcl:"fwmark,optional" json:"fwmark,omitempty"`
	FwMask   *int    `hcl:"fwmask,optional" json:"fwmask,omitempty"`
	Type     *string `hcl:"type,optional" json:"type,omitempty"`

	// Found says that the rule was there before.
	Found bool `json:"found,omitempty"`

	// Networkd says that a file of opdbus' has systemd-networkd make the rule. It is as that makes it, so without the mark.
	Networkd bool `json:"networkd,omitempty"`

	former *Rule // what it is made from, until it is there
	has    int   // the protocol that it has, by which opdbus' own are known
	marked bool  // it is to have the mark, which it had not while networkd was to make it
}

// Key is the label.
func (r Rule) Key() string { return r.Name }

// Thing says that two rules which say the same are one thing.
func (r Rule) Thing() string { return fmt.Sprintf("rule %+v", r.sense()) }

// Same compares what the rules say.
func (r Rule) Same(other state.Object) bool {
	o, ok := other.(Rule)
	return ok && r.sense() == o.sense() && r.Networkd == o.Networkd
}

// A sense is what a rule says. The kernel changes none: there is another then.
type sense struct {
	priority, family, table, kind int
	from, to                      netip.Prefix
	iif, oif                      string
	mark, mask                    uint32
}

// ruleTypes are what a rule may do (ip-rule(8)): the numbers are the FR_ACT_ of linux/fib_rules.h.
func ruleTypes() map[string]int {
	return map[string]int{"table": unix.FR_ACT_TO_TBL, "blackhole": unix.FR_ACT_BLACKHOLE, "unreachable": unix.FR_ACT_UNREACHABLE, "prohibit": unix.FR_ACT_PROHIBIT}
}

func (r Rule) sense() sense {
	s := sense{priority: r.Priority, family: netlink.FAMILY_V4, kind: unix.FR_ACT_TO_TBL, table: deref(r.Table), iif: deref(r.IIF), oif: deref(r.OIF)}
	s.from, s.to = network(r.From), network(r.To)
	if s.from.Addr().Is6() || s.to.Addr().Is6() || deref(r.Family) == "ipv6" {
		s.family = netlink.FAMILY_V6
	}
	if r.Type != nil {
		s.kind = ruleTypes()[*r.Type]
	}
	if r.FwMark != nil {
		s.mark, s.mask = uint32(*r.FwMark), 1<<32-1
		if r.FwMask != nil {
			s.mask = uint32(*r.FwMask)
		}
	}
	return s
}

// network is a prefix, or nothing for what stands for everything.
func network(text *string) netip.Prefix {
	p, err := Route{Destination: deref(text)}.destination()
	if err != nil || p.Bits() == 0 {
		return netip.Prefix{}
	}
	return p.Masked()
}

// Check finds what no rule can be.
func (r Rule) Check(report func(attr, summary, detail string)) {
	if r.Priority < 1 || r.Priority > 1<<15-1 {
		report("priority", "Invalid priority", fmt.Sprintf("%d is not within 1 and 32767: 0 is that of the rule for local addresses, and there is none after 32767.", r.Priority))
	}
	kind := "table"
	if r.Type != nil {
		kind = *r.Type
	}
	switch _, known := ruleTypes()[kind]; {
	case !known:
		report("type", "Unknown type of rule", fmt.Sprintf("%q is none. The types are table, blackhole, unreachable and prohibit.", kind))
	case kind == "table" && r.Table == nil:
		report("", "Missing table", "A rule says which table is looked up: set table, or another type.")
	case kind != "table" && r.Table != nil:
		report("table", "Unsupported attribute", fmt.Sprintf("A rule of type %s looks up no table.", kind))
	}
	if r.Table != nil && (*r.Table < 1 || *r.Table > 1<<32-1) {
		report("table", "Invalid table", "It is a number of a routing table.")
	}
	for attr, text := range map[string]*string{"from": r.From, "to": r.To} {
		if text == nil {
			continue
		}
		p, err := Route{Destination: *text}.destination()
		switch {
		case err != nil:
			report(attr, "Invalid network", fmt.Sprintf("%q is no network, such as 10.0.0.0/8, and no address.", *text))
		case p.Bits() == 0:
			report(attr, "Invalid network", "Everything is what a rule is about that has no "+attr+".")
		case p != p.Masked():
			report(attr, "Invalid network", fmt.Sprintf("%s has bits set beyond its length; the network is %s.", p, p.Masked()))
		}
	}
	from, to := network(r.From), network(r.To)
	if from.IsValid() && to.IsValid() && from.Addr().Is4() != to.Addr().Is4() {
		report("to", "Invalid network", "It is of another family than from.")
	}
	if r.Family != nil {
		is6 := *r.Family == "ipv6"
		if !is6 && *r.Family != "ipv4" || from.IsValid() && from.Addr().Is6() != is6 || to.IsValid() && to.Addr().Is6() != is6 {
			report("family", "Invalid family", "It is ipv4 or ipv6, as from and to are.")
		}
	}
	for attr, name := range map[string]*string{"iif": r.IIF, "oif": r.OIF} {
		if name != nil && !validName(*name) {
			report(attr, "Invalid name of a link", fmt.Sprintf("%q is no name of a link.", *name))
		}
	}
	for attr, n := range map[string]*int{"fwmark": r.FwMark, "fwmask": r.FwMask} {
		if n != nil && (*n < 0 || *n > 1<<32-1) {
			report(attr, "Invalid "+attr, "It is a number of 32 bits.")
		}
	}
	if deref(r.FwMark) == 0 && r.FwMark != nil && r.FwMask == nil {
		report("fwmark", "Invalid fwmark", "The kernel takes 0 for none. Leave it out, or set fwmask.")
	}
	if r.FwMask != nil && r.FwMark == nil {
		report("fwmask", "Unsupported attribute", "It goes with fwmark.")
	}
}
