package dnsresolver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Link is what systemd-resolved is told of a network interface. It lasts as long as the interface is there.
type Link struct {
	Name         string   `hcl:"name,label" json:"name"`
	Servers      []string `hcl:"servers,optional" json:"servers"`
	Domains      []string `hcl:"domains,optional" json:"domains"`
	DefaultRoute *bool    `hcl:"default_route,optional" json:"default_route,omitempty"`
	DNSSEC       *string  `hcl:"dnssec,optional" json:"dnssec,omitempty"`
	DNSOverTLS   *string  `hcl:"dns_over_tls,optional" json:"dns_over_tls,omitempty"`
	LLMNR        *string  `hcl:"llmnr,optional" json:"llmnr,omitempty"`
	MulticastDNS *string  `hcl:"multicast_dns,optional" json:"multicast_dns,omitempty"`

	// Found is what was there before, of what is managed; nil where nothing had been set.
	Found *Link `json:"found,omitempty"`

	set bool // something has been set, of whatever attribute
}

// Key is the interface's name.
func (l Link) Key() string { return l.Name }

// Thing says that what resolved is told of an interface is one thing, whoever declares it.
func (l Link) Thing() string { return "resolver of link " + l.Name }

// Same compares what is managed.
func (l Link) Same(other state.Object) bool {
	o, ok := other.(Link)
	return ok && l.Name == o.Name && sameList(l.Servers, o.Servers) && sameList(l.Domains, o.Domains) && same(l.DefaultRoute, o.DefaultRoute) &&
		same(l.DNSSEC, o.DNSSEC) && same(l.DNSOverTLS, o.DNSOverTLS) && same(l.LLMNR, o.LLMNR) && same(l.MulticastDNS, o.MulticastDNS)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// sameList tells a list that is not managed from one that is empty.
func sameList(a, b []string) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

// Check finds what resolved would not take.
func (l Link) Check(report func(attr, summary, detail string)) {
	switch {
	case l.Name == "" || len(l.Name) > 15 || strings.ContainsAny(l.Name, "/ \t\n\x00"):
		report("", "Invalid name of a link", fmt.Sprintf("%q is no name of a network interface, which has at most 15 characters, as ip link lists it.", l.Name))
	case l.Name == "lo":
		report("", "The loopback interface has no resolver", "resolved looks nothing up over lo. Declare the servers in resolver \"global\".")
	}
	if l.managed(Link{}).Same(l) {
		report("", "A link without settings", "Set at least one of servers, domains, default_route, dnssec, dns_over_tls, llmnr and multicast_dns.")
	}
	checkList("servers", l.Servers, parseServer, report)
	checkList("domains", l.Domains, parseDomain, report)
	checkWord("dnssec", l.DNSSEC, report, "yes", "no", "allow-downgrade")
	checkWord("dns_over_tls", l.DNSOverTLS, report, "yes", "no", "opportunistic")
	checkWord("llmnr", l.LLMNR, report, "yes", "no", "resolve")
	checkWord("multicast_dns", l.MulticastDNS, report, "yes", "no", "resolve")
}

// words are the attributes that are a word each, with the calls that set them.
func (l *Link) words() []word {
	return []word{
		{"SetLinkDNSSEC", "DNSSEC", &l.DNSSEC}, {"SetLinkDNSOverTLS", "DNSOverTLS", &l.DNSOverTLS},
		{"SetLinkLLMNR", "LLMNR", &l.LLMNR}, {"SetLinkMulticastDNS", "MulticastDNS", &l.MulticastDNS},
	}
}

// A word is an attribute with the method that sets it, where the empty word sets it back, and the property that tells it.
type word struct {
	method, property string
	value            **string
}

// managed is what of l the link want manages.
func (l Link) managed(want Link) Link {
	m := Link{Name: l.Name}
	if want.Servers != nil {
		m.Servers = l.Servers
	}
	if want.Domains != nil {
		m.Domains = l.Domains
	}
	if want.DefaultRoute != nil {
		m.DefaultRoute = l.DefaultRoute
	}
	to, from, of := m.words(), l.words(), want.words()
	for i, w := range of {
		if *w.value != nil {
			*to[i].value = *from[i].value
		}
	}
	return m
}

// with is found and, of what want manages besides, what is live.
func (found Link) with(live, want Link) Link {
	all := live.managed(want)
	if want.Servers != nil && found.Servers != nil {
		all.Servers = found.Servers
	}
	if want.Domains != nil && found.Domains != nil {
		all.Domains = found.Domains
	}
	if want.DefaultRoute != nil && found.DefaultRoute != nil {
		all.DefaultRoute = found.DefaultRoute
	}
	to, from, of := all.words(), found.words(), want.words()
	for i, w := range of {
		if *w.value != nil && *from[i].value != nil {
			*to[i].value = *from[i].value
		}
	}
	return all
}
