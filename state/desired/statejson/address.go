package statejson

import (
	"net/netip"

	"github.com/hashicorp/hcl/v2"
)

// families are the members of an interface that say its addresses.
func families() []string { return []string{"ipv4", "ipv6"} }

// addresses translates those of both families, and checks all that the members say.
func (t *translator) addresses(i *networkInterface) expression {
	all := list(i.nameAt)
	first := map[netip.Prefix]hcl.Range{}
	for _, family := range families() {
		m := i.get(family)
		if m == nil {
			continue
		}
		o, ok := t.object(m.value, quoted(family), "enabled", "dhcp", "address", "gateway", "dns")
		if !ok {
			continue
		}
		t.dhcp(o)
		if !t.enabled(o) {
			continue
		}
		for _, v := range t.addressValues(o) {
			address, ok := t.address(v, family)
			if !ok {
				continue
			}
			if at, twice := first[address]; twice {
				t.errorf(v.at, "Duplicate address", "%s is among the addresses already, at %s.", address, place(at))
				continue
			}
			if len(all.list) == 0 {
				all.at = o.get("address").span()
			}
			first[address] = v.at
			all.list = append(all.list, text(v.at, address.String()))
		}
		t.texts(o.get("dns"))
	}
	return all
}

func (t *translator) dhcp(o *object) {
	m := o.get("dhcp")
	if is, ok := t.boolean(m); ok && is {
		t.errorf(m.span(), "No DHCP", "opdbus has no client of DHCP. Give the address and the gateway here, or take the interface out of the document and leave it to what runs DHCP on the host, such as systemd-networkd(8).")
	}
}

// enabled says whether a family of addresses is used.
func (t *translator) enabled(o *object) bool {
	m := o.get("enabled")
	if m == nil {
		return true
	}
	is, ok := t.boolean(m)
	if !ok || is {
		return true
	}
	for _, name := range []string{"address", "gateway", "dns"} {
		if said := o.get(name); said != nil && (said.value.sort != isList || len(said.value.items) > 0) {
			t.leftOut(said, "is left out, as it is not enabled.")
		}
	}
	return false
}

// addressValues are those of a list, or the one that stands there by itself.
func (t *translator) addressValues(o *object) []value {
	m := o.get("address")
	if m == nil {
		return nil
	}
	switch m.value.sort {
	case isText, isObject:
		return []value{m.value}
	}
	return t.items(m)
}

// address translates "10.0.0.1/24", or {"ip": "10.0.0.1", "prefix": 24}.
func (t *translator) address(v value, family string) (prefix netip.Prefix, ok bool) {
	const how = `An address is written "10.0.0.1/24", or {"ip": "10.0.0.1", "prefix": 24}.`
	switch v.sort {
	case isText:
		var err error
		if prefix, err = netip.ParsePrefix(v.text); err != nil {
			if _, err := netip.ParseAddr(v.text); err == nil {
				t.errorf(v.at, "Address without prefix", "%s has to say how long its network's prefix is. %s", v.text, how)
			} else {
				t.errorf(v.at, "Invalid address", "%q is no address with the length of its network. %s", v.text, how)
			}
			return prefix, false
		}
	case isObject:
		if prefix, ok = t.addressObject(v, how); !ok {
			return prefix, false
		}
	default:
		t.errorf(v.at, "Wrong type", "An address cannot be %s. %s", v.sort, how)
		return prefix, false
	}
	if of := "ipv" + version(prefix.Addr()); of != family {
		t.errorf(v.at, "Address of the other family", "%s belongs into %q.", prefix, of)
		return prefix, false
	}
	return prefix, true
}

func (t *translator) addressObject(v value, how string) (netip.Prefix, bool) {
	o, ok := t.object(v, "An address", "ip", "prefix")
	if !ok {
		return netip.Prefix{}, false
	}
	ip := o.get("ip")
	if ip == nil {
		t.errorf(v.at, "Missing ip", "%s", how)
		return netip.Prefix{}, false
	}
	s, ok := t.text(ip)
	if !ok {
		return netip.Prefix{}, false
	}
	address, err := netip.ParseAddr(s)
	if err != nil || address.Zone() != "" {
		t.errorf(ip.value.at, "Invalid address", "%q is no IP address. %s", s, how)
		return netip.Prefix{}, false
	}
	length := o.get("prefix")
	if length == nil {
		t.errorf(ip.span(), "Address without prefix", "%s has to say how long its network's prefix is. %s", s, how)
		return netip.Prefix{}, false
	}
	bits, ok := t.within(length, 0, int64(address.BitLen()))
	return netip.PrefixFrom(address, int(bits)), ok
}

func version(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

// gateway is the member of a family that names one; nil where there is none, or the family is not enabled.
func (t *translator) gateway(i *networkInterface, family string) *member {
	m := used(i, family)
	if m == nil {
		return nil
	}
	return m.get("gateway")
}

// used is a family of an interface; nil where it says nothing, or is not enabled.
func used(i *networkInterface, family string) *object {
	m := i.get(family)
	if m == nil || m.value.sort != isObject {
		return nil
	}
	o := &object{value: m.value}
	if enabled := o.get("enabled"); enabled != nil && enabled.value.sort == isBool && !enabled.value.truth {
		return nil
	}
	return o
}

// routes writes the default routes over an interface. There is one for each family.
func (t *translator) routes(node *block, i *networkInterface, first map[string]hcl.Range) {
	for _, family := range families() {
		m := t.gateway(i, family)
		s, ok := t.text(m)
		if !ok {
			continue
		}
		via, err := netip.ParseAddr(s)
		switch at, twice := first[family]; {
		case err != nil || via.Zone() != "":
			t.errorf(m.value.at, "Invalid gateway", "%q is no IP address.", s)
		case "ipv"+version(via) != family:
			t.errorf(m.value.at, "Gateway of the other family", "%s belongs into %q.", via, "ipv"+version(via))
		case twice:
			t.errorf(m.span(), "Two gateways", "There is one default route of %s, and it goes by the gateway at %s. Declare others in HCL, with metrics or tables of their own.", family, place(at))
		default:
			first[family] = m.at
			name, destination := "default", "0.0.0.0/0"
			if family == "ipv6" {
				name, destination = "default-ipv6", "::/0"
			}
			b := node.add("route", m.span(), name)
			b.set("destination", m.span(), text(m.at, destination))
			b.set("via", m.span(), text(m.value.at, s))
			b.set("link", i.nameAt, text(i.nameAt, i.name))
		}
	}
}

// resolving is where the first name server stands that an interface has; nil where none has one.
func (t *translator) resolving() *member {
	for _, name := range sorted(t.interfaces) {
		for _, v := range t.nameServers(t.interfaces[name]) {
			return &member{name: "dns", at: v.at, value: v}
		}
	}
	return nil
}

// resolvers writes the name servers of interfaces, which are a plugin's of their own.
func (t *translator) resolvers(node *block, _ *member) {
	for _, name := range sorted(t.interfaces) {
		if servers := t.nameServers(t.interfaces[name]); len(servers) > 0 {
			at := servers[0].at
			node.add("link", at, name).set("servers", at, textsAt(at, servers))
		}
	}
}

func (t *translator) nameServers(i *networkInterface) (servers []value) {
	for _, family := range families() {
		o := used(i, family)
		if o == nil || o.get("dns") == nil {
			continue
		}
		for _, v := range o.get("dns").value.items {
			if v.sort == isText {
				servers = append(servers, v)
			}
		}
	}
	return servers
}
