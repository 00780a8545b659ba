package openflow

import (
	"maps"
	"strings"
)

// The security profiles.
const (
	none   = "none"
	basic  = "basic"
	strict = "strict"
)

// trackedTable is where packets go on, under the strict profile, once it is known which connection they are of.
const trackedTable = 250

// profiles are the flows of each security profile, by their names. What keeps a network alive (ARP, DHCP, IPv6's neighbour discovery) stands
// above all that somebody declares, and what ends with dropping stands below it.
func profiles() map[string]map[string]Flow {
	flow := func(table, priority int, match string, actions ...string) Flow {
		return Flow{Table: table, Priority: priority, Match: matchOf(match), Actions: actions}
	}
	guarded := map[string]Flow{
		"arp":                 flow(0, 65535, "arp", "normal"),
		"dhcp":                flow(0, 65535, "udp,udp_src=68,udp_dst=67", "normal"),
		"dhcp-reply":          flow(0, 65535, "udp,udp_src=67,udp_dst=68", "normal"),
		"dhcpv6":              flow(0, 65535, "udp6,udp_src=546,udp_dst=547", "normal"),
		"dhcpv6-reply":        flow(0, 65535, "udp6,udp_src=547,udp_dst=546", "normal"),
		"nd-router-solicit":   flow(0, 65535, "icmp6,icmp_type=133", "normal"),
		"nd-router-advert":    flow(0, 65535, "icmp6,icmp_type=134", "normal"),
		"nd-neighbour":        flow(0, 65535, "icmp6,icmp_type=135", "normal"),
		"nd-neighbour-advert": flow(0, 65535, "icmp6,icmp_type=136", "normal"),
		// No host sends these: they come of spoofing or of scans.
		"source-is-group":    flow(0, 65534, "dl_src=01:00:00:00:00:00/01:00:00:00:00:00", "drop"),
		"source-multicast":   flow(0, 65534, "ip,ip_src=224.0.0.0/4", "drop"),
		"source-broadcast":   flow(0, 65534, "ip,ip_src=255.255.255.255", "drop"),
		"source-loopback":    flow(0, 65534, "ip,ip_src=127.0.0.0/8", "drop"),
		"source-multicast-6": flow(0, 65534, "ipv6,ipv6_src=ff00::/8", "drop"),
		"tcp-null":           flow(0, 65534, "tcp,tcp_flags=0/0x3f", "drop"),
		"tcp-syn-fin":        flow(0, 65534, "tcp,tcp_flags=+syn+fin", "drop"),
		"tcp-syn-rst":        flow(0, 65534, "tcp,tcp_flags=+syn+rst", "drop"),
	}
	open := maps.Clone(guarded)
	open["default"] = flow(0, 1, "", "normal")

	closed := maps.Clone(guarded)
	tracked := "ct(table=250)"
	for name, f := range map[string]Flow{
		"icmp":    flow(0, 3, "icmp", "normal"),
		"icmp6":   flow(0, 3, "icmp6", "normal"),
		"track":   flow(0, 2, "ip", tracked),
		"track-6": flow(0, 2, "ipv6", tracked),
		"default": flow(0, 1, "", "drop"),

		"invalid":       flow(trackedTable, 40, "ct_state=+trk+inv", "drop"),
		"established":   flow(trackedTable, 30, "ct_state=+trk+est", "normal"),
		"related":       flow(trackedTable, 30, "ct_state=+trk+rel", "normal"),
		"from-host":     flow(trackedTable, 20, "ip,in_port=LOCAL,ct_state=+trk+new", "ct(commit)", "normal"),
		"from-host-6":   flow(trackedTable, 20, "ipv6,in_port=LOCAL,ct_state=+trk+new", "ct(commit)", "normal"),
		"picked-up":     flow(trackedTable, 10, "tcp,tcp_flags=+ack-syn,ct_state=+trk+new", "ct(commit)", "normal"),
		"picked-up-6":   flow(trackedTable, 10, "tcp6,tcp_flags=+ack-syn,ct_state=+trk+new", "ct(commit)", "normal"),
		"tracked-other": flow(trackedTable, 1, "", "drop"),
	} {
		closed[name] = f
	}
	return map[string]map[string]Flow{none: nil, basic: open, strict: closed}
}

// matchOf is a match as ovs-ofctl(8) writes it.
func matchOf(text string) map[string]string {
	match := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		if field, value, _ := strings.Cut(part, "="); field != "" {
			match[field] = value
		}
	}
	return match
}
