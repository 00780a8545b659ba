package dnsresolver

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A server is written ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, with #NAME after it where its certificate is for that name.
type server struct {
	ip   netip.Addr
	port uint16 // 0: the one that DNS, or DNS over TLS, has anyhow
	name string
}

func parseServer(text string) (s server, err error) {
	at, name, named := strings.Cut(text, "#")
	if named && !isName(name) {
		return s, fmt.Errorf("%q is no name of a server", name)
	}
	s.name = strings.TrimSuffix(name, ".")
	if s.ip, err = netip.ParseAddr(at); err != nil {
		with, err := netip.ParseAddrPort(at)
		if err != nil || with.Port() == 0 {
			return s, fmt.Errorf("%q is no server: it is an address like 192.0.2.1 or 2001:db8::1, with a port 192.0.2.1:5353 or [2001:db8::1]:5353, and with a name 192.0.2.1#dns.example", text)
		}
		s.ip, s.port = with.Addr(), with.Port()
	}
	switch {
	case s.ip.Zone() != "":
		return s, fmt.Errorf("%q belongs to a link: declare it in a link block, without %%%s", text, s.ip.Zone())
	case s.ip.IsUnspecified():
		return s, fmt.Errorf("%q is the address of nobody", text)
	case s.port == 53 || s.port == 853:
		s.port = 0 // resolved does not tell it
	}
	s.ip = s.ip.Unmap()
	return s, nil
}

func (s server) String() string {
	text := s.ip.String()
	if s.port != 0 {
		text = netip.AddrPortFrom(s.ip, s.port).String()
	}
	if s.name != "" {
		text += "#" + s.name
	}
	return text
}

// onBus is the server as the bus has it.
func (s server) onBus() address {
	a := address{Family: unix.AF_INET, Address: s.ip.AsSlice(), Port: s.port, Name: s.name}
	if s.ip.Is6() {
		a.Family = unix.AF_INET6
	}
	return a
}

// parseDomain reads a domain: with ~ before it, names below it are looked up there and it is not searched.
func parseDomain(text string) (d domain, err error) {
	d.Name, d.Route = strings.CutPrefix(text, "~")
	if d.Name == "." {
		d.Route = true // there is nothing to search in it
		return d, nil
	}
	d.Name = strings.ToLower(strings.TrimSuffix(d.Name, "."))
	if !isName(d.Name) {
		return d, fmt.Errorf("%q is no domain: it is a name like corp.example, with ~ before it where it is not searched, and letters that are not ASCII written as in DNS (xn--)", text)
	}
	return d, nil
}

func (d domain) String() string {
	if d.Route {
		return "~" + d.Name
	}
	return d.Name
}

// isName says whether text is a name in DNS: labels of up to 63 letters, digits, hyphens and underscores, 253 in all.
func isName(text string) bool {
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.IndexFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) >= 0 {
			return false
		}
	}
	return true
}

// asWanted writes what there is in the words of what is wanted, one after the other, where both come to the same.
func asWanted[T fmt.Stringer](want []string, live []T, parse func(string) (T, error)) []string {
	words := make([]string, len(live))
	for i, l := range live {
		words[i] = l.String()
		if i < len(want) {
			if w, err := parse(want[i]); err == nil && w.String() == words[i] {
				words[i] = want[i]
			}
		}
	}
	return words
}

// checkList reports what is wrong with a list's entries, and what is in it twice.
func checkList[T fmt.Stringer](attr string, list []string, parse func(string) (T, error), report func(attr, summary, detail string)) {
	seen := map[string]int{}
	for i, text := range list {
		v, err := parse(text)
		if err != nil {
			report(attr, "Invalid entry of "+attr, sentence(err))
			continue
		}
		if first, twice := seen[v.String()]; twice {
			report(attr, "Duplicate entry of "+attr, strconv.Quote(text)+" says the same as "+strconv.Quote(list[first])+".")
		}
		seen[v.String()] = i
	}
}

// checkWord reports a value that is none of those that an attribute may have.
func checkWord(attr string, value *string, report func(attr, summary, detail string), words ...string) {
	if value == nil {
		return
	}
	for _, w := range words {
		if *value == w {
			return
		}
	}
	report(attr, "Invalid "+attr, sentence(fmt.Errorf("%q is none of %s", *value, strings.Join(words, ", "))))
}

func sentence(err error) string { return err.Error() + "." }
