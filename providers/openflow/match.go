package openflow

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// isProtocol says whether a field is the short name of a protocol, which has no value (ovs-fields(7)).
func isProtocol(field string) bool { return implied(field) != nil }

// implied are the protocols that a short name stands for; nil where it is none. It is asked of each field of each flow, often.
func implied(name string) []string {
	switch name {
	case "ip", "ipv6", "arp", "rarp", "mpls":
		return []string{name}
	case "mplsm":
		return []string{"mpls"}
	case "icmp", "tcp", "udp", "sctp":
		return []string{"ip", name}
	case "icmp6":
		return []string{"ipv6", name}
	case "tcp6", "udp6", "sctp6":
		return []string{"ipv6", strings.TrimSuffix(name, "6")}
	}
	return nil
}

// byNumber are the protocols that a value of a field stands for.
func byNumber(field, value string) []string {
	value = strings.ToLower(strings.TrimSpace(value))
	switch field {
	case "dl_type", "eth_type":
		return map[string][]string{
			"0x800": {"ip"}, "0x0800": {"ip"}, "2048": {"ip"}, "0x86dd": {"ipv6"}, "34525": {"ipv6"}, "0x806": {"arp"}, "0x0806": {"arp"}, "2054": {"arp"},
			"0x8035": {"rarp"}, "0x8847": {"mpls"}, "0x8848": {"mpls"},
		}[value]
	case "nw_proto", "ip_proto":
		return map[string][]string{
			"6": {"tcp"}, "0x6": {"tcp"}, "17": {"udp"}, "0x11": {"udp"}, "1": {"icmp"}, "0x1": {"icmp"}, "58": {"icmp6"}, "0x3a": {"icmp6"}, "132": {"sctp"},
			"0x84": {"sctp"},
		}[value]
	}
	return nil
}

// prerequisites are, of the fields that a switch leaves out of a match without a word when the packet's protocol is not said, those of which one
// has to be said (ovs-fields(7)).
func prerequisites(field string) []string {
	switch {
	case strings.HasPrefix(field, "arp_"):
		return []string{"arp", "rarp"}
	case strings.HasPrefix(field, "nd_"), strings.HasPrefix(field, "icmpv6_"):
		return []string{"icmp6"}
	case strings.HasPrefix(field, "mpls_"):
		return []string{"mpls"}
	case strings.HasPrefix(field, "ipv6_"):
		return []string{"ipv6"}
	case strings.HasPrefix(field, "tcp_"):
		return []string{"tcp"}
	case strings.HasPrefix(field, "udp_"):
		return []string{"udp"}
	case strings.HasPrefix(field, "sctp_"):
		return []string{"sctp"}
	case strings.HasPrefix(field, "icmpv4_"):
		return []string{"icmp"}
	}
	return map[string][]string{
		"nw_src": {"ip", "arp", "rarp"}, "nw_dst": {"ip", "arp", "rarp"}, "ip_src": {"ip"}, "ip_dst": {"ip"},
		"nw_proto": {"ip", "ipv6", "arp", "rarp"}, "ip_proto": {"ip", "ipv6"},
		"nw_tos": {"ip", "ipv6"}, "ip_dscp": {"ip", "ipv6"}, "nw_ecn": {"ip", "ipv6"}, "ip_ecn": {"ip", "ipv6"}, "nw_ttl": {"ip", "ipv6"},
		"nw_frag": {"ip", "ipv6"}, "ip_frag": {"ip", "ipv6"},
		"tp_src": {"tcp", "udp", "sctp"}, "tp_dst": {"tcp", "udp", "sctp"}, "icmp_type": {"icmp", "icmp6"}, "icmp_code": {"icmp", "icmp6"},
	}[field]
}

// fieldRank puts fields after those that they need.
func fieldRank(field string) int {
	name, _, _ := strings.Cut(field, "=")
	switch {
	case name == "dl_type" || name == "eth_type":
		return 0
	case name == "nw_proto" || name == "ip_proto":
		return 1
	case strings.HasPrefix(name, "nd_"):
		return 3
	}
	return 2
}

// checkMatch finds fields whose protocol is not said: the switch drops them, and then the flow matches everything.
func checkMatch(match map[string]string, report func(attr, summary, detail string)) {
	said := map[string]bool{}
	for field, value := range match {
		for _, p := range append(implied(field), byNumber(field, value)...) {
			said[p] = true
		}
	}
	for field, value := range match {
		switch {
		case field == "" || strings.ContainsAny(field+value, ",= \t\n#"):
			report("match", "Invalid match", fmt.Sprintf("%q = %q is no field of ovs-fields(7) with a value.", field, value))
		case isProtocol(field) && value != "" && value != "true":
			report("match", "Invalid match", fmt.Sprintf("%q is a protocol, and has no value: write %s = true.", field, field))
		case !isProtocol(field) && value == "":
			report("match", "Invalid match", fmt.Sprintf("%q has no value, and is no protocol's name.", field))
		}
		need := prerequisites(field)
		if len(need) > 0 && !slices.ContainsFunc(need, func(p string) bool { return said[p] }) {
			report("match", "Missing prerequisite", fmt.Sprintf("%q is looked at only in packets of a protocol that the match names. Without one the switch would leave it out, and the flow would match everything: add %s = true.",
				field, strings.Join(need, " = true, or ")))
		}
	}
}

// ports are the places in an action where a port's name may stand.
var ports = regexp.MustCompile(`^(output:|output\(port=|enqueue\(|enqueue:|resubmit\(|resubmit:|in_port=)"?([A-Za-z_][\w.@-]*)"?`)

// isReserved says whether a name is one of OpenFlow's own, and no port's.
func isReserved(name string) bool {
	return slices.Contains([]string{"in_port", "table", "normal", "flood", "all", "controller", "local", "any", "none", "unset"}, strings.ToLower(name))
}

// numbered is an action with the numbers of the ports that it names.
func numbered(action string, port func(string) string) string {
	action = strings.TrimSpace(action)
	m := ports.FindStringSubmatchIndex(action)
	if m == nil || isReserved(action[m[4]:m[5]]) || strings.HasPrefix(action[m[5]:], "[") { // the last is a register, as in output:NXM_NX_REG0[]
		return action
	}
	return action[:m[3]] + port(action[m[4]:m[5]]) + action[m[1]:]
}
