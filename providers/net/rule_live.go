package net

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A kernelRule is one as the kernel has it.
type kernelRule struct {
	sense
	protocol int
	odd      bool // it has something that a Rule cannot say
}

// parseRule reads a message about a rule (fib_rule_hdr and the FRA_ of linux/fib_rules.h). RuleList of the netlink module leaves out what the
// rule does.
func parseRule(data []byte) (kernelRule, error) {
	msg := nl.DeserializeRtMsg(data)
	attrs, err := nl.ParseRouteAttr(data[msg.Len():])
	if err != nil {
		return kernelRule{}, err
	}
	const inverted = 2 // FIB_RULE_INVERT
	r := kernelRule{sense: sense{family: int(msg.Family), kind: int(msg.Type)}, odd: msg.Tos != 0 || msg.Flags&inverted != 0}
	number := func(value []byte) uint32 { return binary.NativeEndian.Uint32(value) }
	for _, a := range attrs {
		switch a.Attr.Type {
		case nl.FRA_PRIORITY:
			r.priority = int(number(a.Value))
		case nl.FRA_TABLE:
			if r.kind == unix.FR_ACT_TO_TBL {
				r.table = int(number(a.Value))
			}
		case nl.FRA_SRC:
			r.from = prefixOf(&net.IPNet{IP: a.Value, Mask: net.CIDRMask(int(msg.Src_len), 8*len(a.Value))})
		case nl.FRA_DST:
			r.to = prefixOf(&net.IPNet{IP: a.Value, Mask: net.CIDRMask(int(msg.Dst_len), 8*len(a.Value))})
		case nl.FRA_IIFNAME:
			r.iif = unix.ByteSliceToString(a.Value)
		case nl.FRA_OIFNAME:
			r.oif = unix.ByteSliceToString(a.Value)
		case nl.FRA_FWMARK:
			r.mark = number(a.Value)
		case nl.FRA_FWMASK:
			r.mask = number(a.Value)
		case nl.FRA_PROTOCOL:
			r.protocol = int(a.Value[0])
		case nl.FRA_SUPPRESS_PREFIXLEN, nl.FRA_SUPPRESS_IFGROUP: // all ones where there is none
			r.odd = r.odd || number(a.Value) != 1<<32-1
		case nl.FRA_GOTO, nl.FRA_TUN_ID, nl.FRA_IP_PROTO, nl.FRA_DPORT_RANGE, nl.FRA_SPORT_RANGE, nl.FRA_UID_RANGE, nl.FRA_FLOW:
			r.odd = true
		}
	}
	return r, nil
}

// rules is the provider of rules.
type rules struct{ connections *connections }

// Live says that rules are a state of the running kernel, for state.Live.
func (*rules) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*rules) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*rules) Overlaps() {}

// Read reads one.
func (p *rules) Read(ctx context.Context, want Rule) (*Rule, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Rule]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by one dump.
func (p *rules) ReadAll(_ context.Context, items []state.Item[Rule]) ([]*Rule, error) {
	there, err := p.all()
	if err != nil {
		return nil, err
	}
	lives := make([]*Rule, len(items))
	for i, it := range items {
		live := it.Want
		live.former = nil
		has, is := there[live.sense()]
		if former := it.Want.former; !is && former != nil {
			live = *former
			has, is = there[live.sense()]
		}
		if is {
			live.has = has
			live.Networkd = live.lacks(has)
			lives[i] = &live
		}
	}
	return lives, nil
}

// all is what the rules say that there are, with their protocols; of several that say the same, opdbus' own.
func (*rules) all() (map[sense]int, error) {
	list, err := listRules()
	there := map[sense]int{}
	for _, r := range list {
		if there[r.sense] != protocol {
			there[r.sense] = r.protocol
		}
	}
	return there, err
}

// listRules are the rules of both families that a Rule can say.
func listRules() ([]kernelRule, error) {
	messages, err := dump("rules", func() ([][]byte, error) {
		request := nl.NewNetlinkRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP)
		request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
	})
	if err != nil {
		return nil, err
	}
	var all []kernelRule
	for _, m := range messages {
		r, err := parseRule(m)
		if err != nil {
			return nil, fmt.Errorf("cannot read a rule: %w", err)
		}
		if !r.odd && (r.family == netlink.FAMILY_V4 || r.family == netlink.FAMILY_V6) {
			all = append(all, r)
		}
	}
	return all, nil
}

// List is the rules that somebody has set.
func (*rules) List(context.Context) ([]Rule, error) {
	list, err := listRules()
	var all []Rule
	for _, from := range list {
		if from.protocol != unix.RTPROT_KERNEL {
			all = append(all, describedRule(from.sense))
		}
	}
	slices.SortStableFunc(all, func(a, b Rule) int { return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name)) })
	return all, err
}

func describedRule(s sense) Rule {
	name, kind := "ipv4", ""
	if s.family == netlink.FAMILY_V6 {
		name = "ipv6"
	}
	for text, number := range ruleTypes() {
		if number == s.kind {
			kind = text
		}
	}
	r := Rule{Name: fmt.Sprintf("%s %d", name, s.priority), Priority: s.priority, Family: &name}
	if s.kind == unix.FR_ACT_TO_TBL {
		r.Table = &s.table
	} else {
		r.Type = &kind
	}
	text := func(p netip.Prefix) *string {
		if !p.IsValid() {
			return nil
		}
		t := p.String()
		return &t
	}
	r.From, r.To = text(s.from), text(s.to)
	if s.iif != "" {
		r.IIF = &s.iif
	}
	if s.oif != "" {
		r.OIF = &s.oif
	}
	if s.mask != 0 {
		mark, mask := int(s.mark), int(s.mask)
		r.FwMark = &mark
		if s.mask != 1<<32-1 {
			r.FwMask = &mask
		}
	}
	return r
}

// Owns says whether the rule is opdbus' own.
func (*rules) Owns(made *Rule, live Rule) bool { return made != nil && made.own(live.has) }

// Claim takes over a rule that is there: it stays when it is no longer wanted.
func (*rules) Claim(want, live Rule) (Rule, error) {
	if want.sense() != live.sense() {
		return want, fmt.Errorf("rule %s was there before opdbus came, and stays: give the other rule a name of its own", live.Name)
	}
	want.Found, want.Networkd = true, live.Networkd
	return want, nil
}

// PlanAll keeps what was found, and remembers what a rule is made from.
func (*rules) PlanAll(_ context.Context, items []state.Planned[Rule]) error {
	for i, it := range items {
		if it.Want == nil || it.Made == nil {
			continue
		}
		if it.Made.sense() == it.Want.sense() {
			items[i].Want.Found = it.Made.Found
			items[i].Want.marked = it.Made.Networkd && !it.Want.Networkd
			if it.Made.Found {
				items[i].Want.Networkd = it.Made.Networkd
			}
		} else {
			items[i].Want.former = it.Made
		}
	}
	return nil
}

// Apply adds a rule before it takes another away.
func (p *rules) Apply(_ context.Context, before, after *Rule) error {
	there, err := p.all()
	if err != nil {
		return err
	}
	if after != nil {
		has, is := there[after.sense()]
		switch {
		case is && has != after.protocol() && (after.own(has) || before != nil && before.sense() == after.sense() && before.own(has)):
			if err := after.remark(has); err != nil {
				return fmt.Errorf("cannot mark rule %s: %w", after.Name, err)
			}
		case !is:
			if err := netlink.RuleAdd(after.request()); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("cannot add rule %s: %w", after.Name, err)
			}
		}
	}
	if before == nil || after != nil && after.sense() == before.sense() {
		return nil
	}
	if has, is := there[before.sense()]; is && before.own(has) {
		of := before.request()
		of.Protocol = uint8(has)
		if err := netlink.RuleDel(of); err != nil && !gone(err) {
			return fmt.Errorf("cannot take away rule %s: %w", before.Name, err)
		}
	}
	return nil
}

func (r Rule) request() *netlink.Rule {
	s := r.sense()
	rule := netlink.NewRule()
	rule.Priority, rule.Family, rule.Table, rule.IifName, rule.OifName = s.priority, s.family, s.table, s.iif, s.oif
	rule.Protocol, rule.Type = uint8(r.protocol()), uint8(s.kind)
	if s.from.IsValid() {
		rule.Src = netOf(s.from)
	}
	if s.to.IsValid() {
		rule.Dst = netOf(s.to)
	}
	if s.mask != 0 {
		rule.Mark, rule.Mask = s.mark, &s.mask
	}
	return rule
}
