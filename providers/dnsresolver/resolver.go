package dnsresolver

import (
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Resolver is where the host looks names up, on whatever link.
type Resolver struct {
	Name       string   `hcl:"name,label" json:"name"` // global
	Servers    []string `hcl:"servers,optional" json:"servers"`
	Search     []string `hcl:"search,optional" json:"search"`
	Options    []string `hcl:"options,optional" json:"options"`
	DNSSEC     *string  `hcl:"dnssec,optional" json:"dnssec,omitempty"`
	DNSOverTLS *string  `hcl:"dns_over_tls,optional" json:"dns_over_tls,omitempty"`

	// Foreign says of what is there that opdbus wrote none of it.
	Foreign bool `json:"foreign,omitempty"`
	// File is what /etc/resolv.conf was before opdbus wrote it, where that is a plain file; nil where there was none.
	File *File `json:"file,omitempty"`
	// Parents are the directories that were made for the drop-in.
	Parents []string `json:"parents,omitempty"`

	refused string // why it cannot be as it is wanted
	file    *File  // what /etc/resolv.conf is, where it is a plain file
}

// A File is a plain /etc/resolv.conf.
type File struct {
	Text string `json:"text"`
	Mode uint32 `json:"mode"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// Key is always global.
func (r Resolver) Key() string { return r.Name }

// Thing says that there is one resolver, whoever declares it.
func (r Resolver) Thing() string { return "resolver" }

// Same compares what is managed.
func (r Resolver) Same(other state.Object) bool {
	o, ok := other.(Resolver)
	return ok && r.Name == o.Name && r.refused == o.refused && sameList(r.Servers, o.Servers) && sameList(r.Search, o.Search) &&
		sameList(r.Options, o.Options) && same(r.DNSSEC, o.DNSSEC) && same(r.DNSOverTLS, o.DNSOverTLS)
}

// Check finds what no resolver would take.
func (r Resolver) Check(report func(attr, summary, detail string)) {
	if r.Name != "global" {
		report("", "Unknown resolver", fmt.Sprintf("%q is not global. There is one resolver, resolver \"global\"; what is looked up over a link is declared by link.", r.Name))
	}
	if r.Servers == nil && r.Search == nil && r.Options == nil && r.DNSSEC == nil && r.DNSOverTLS == nil {
		report("", "A resolver without settings", "Set at least one of servers, search, options, dnssec and dns_over_tls.")
	}
	checkList("servers", r.Servers, parseServer, report)
	checkList("search", r.Search, parseDomain, report)
	checkList("options", r.Options, parseOption, report)
	checkWord("dnssec", r.DNSSEC, report, "yes", "no", "allow-downgrade")
	checkWord("dns_over_tls", r.DNSOverTLS, report, "yes", "no", "opportunistic")
}

// An option is one of resolv.conf(5), such as ndots:2.
type option string

func (o option) String() string { return string(o) }

func parseOption(text string) (option, error) {
	if text == "" || strings.ContainsAny(text, " \t\n\r#;") {
		return "", fmt.Errorf("%q is no option of resolv.conf(5), such as ndots:2 or rotate", text)
	}
	return option(text), nil
}

// absent says that nothing is there of what want manages.
func (r Resolver) absent(want Resolver) bool {
	return (want.Servers != nil || want.Search != nil || want.Options != nil) && len(r.Servers)+len(r.Search)+len(r.Options) == 0
}

// unfit says what of the resolver a plain file cannot hold.
func (r Resolver) unfit() string {
	switch {
	case r.DNSSEC != nil:
		return "knows no dnssec"
	case r.DNSOverTLS != nil:
		return "knows no dns_over_tls"
	}
	for _, text := range r.Servers {
		if s, err := parseServer(text); err == nil && (s.port != 0 || s.name != "") {
			return "knows servers by their address only, and not " + text
		}
	}
	for _, text := range r.Search {
		if strings.HasPrefix(text, "~") {
			return "only searches domains, and cannot have " + text
		}
	}
	return ""
}
