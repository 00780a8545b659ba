package desired

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/opdbus/opdbus/state"
)

// IsDocument says whether a file of that name is a state document, the older form of a configuration, and not a configuration's own file.
func IsDocument(name string) bool {
	return strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".hcl.json")
}

// A translation is a state document on its way to HCL.
type translation struct {
	stateDocument
	body  *hclwrite.Body
	ports map[string]bool // that the net section declares
	nodes []string        // the addresses of those written so far
}

// Translate gives what a state document ({"version": 1, "plugins": {…}}) says in HCL. What HCL has no counterpart for is an error, or a
// warning where nothing depends on it.
func Translate(name string, src []byte) (text []byte, files *Files, diags state.Diagnostics) {
	file := hclwrite.NewEmptyFile()
	t := translation{stateDocument: stateDocument{name: name, src: src}, body: file.Body(), ports: map[string]bool{}}
	if root, ok := t.read(); ok {
		var version *int
		var plugins member
		t.fields(root, "The document", map[string]func(member){
			"version": t.number(&version), "plugins": func(m member) { plugins = m },
		})
		switch {
		case len(t.diags) > 0:
		case version == nil || *version != 1:
			t.errorf(root, "Unknown version", `The document has to say "version": 1.`)
		case plugins.value == nil:
			t.errorf(root, "Missing plugins", `The document has to have "plugins".`)
		default:
			t.plugins(plugins)
		}
	}
	return hclwrite.Format(file.Bytes()), t.files(), t.diags
}

// plugins writes the sections in the order in which they have to be applied.
func (t *translation) plugins(m member) {
	sections := map[string]member{}
	known := map[string]func(member){}
	for _, name := range []string{"systemd", "net", "openflow"} {
		known[name] = func(m member) { sections[name] = m }
	}
	t.fields(m, `"plugins"`, known)
	if m, there := sections["systemd"]; there {
		t.systemd(m)
	}
	if m, there := sections["net"]; there {
		t.net(m)
	}
	if m, there := sections["openflow"]; there {
		t.openflow(m)
	}
}

// node begins a node's block, which depends on those before it.
func (t *translation) node(kind, name string) *hclwrite.Body {
	if len(t.nodes) > 0 {
		t.body.AppendNewline()
	}
	b := t.body.AppendNewBlock(kind, []string{name}).Body()
	if len(t.nodes) > 0 {
		b.SetAttributeRaw("dependencies", hclwrite.TokensForTuple([]hclwrite.Tokens{hclwrite.TokensForIdentifier(t.nodes[len(t.nodes)-1])}))
	}
	t.nodes = append(t.nodes, kind+"."+name)
	return b
}

func set[T any](b *hclwrite.Body, name string, v *T, as func(T) cty.Value) {
	if v != nil {
		b.SetAttributeValue(name, as(*v))
	}
}

func whole(n int) cty.Value { return cty.NumberIntVal(int64(n)) }

func (t *translation) systemd(m member) {
	node := t.node("plugin", "systemd")
	t.fields(m, `"systemd"`, map[string]func(member){"units": func(m member) {
		units, is := m.value.(object)
		if !is {
			t.errorf(m, "Incorrect type", `"units" has to be an object of units by their names.`)
		}
		for _, u := range units {
			var enabled, masked *bool
			var active string
			t.fields(u, "A unit", map[string]func(member){
				"enabled": t.truth(&enabled), "masked": t.truth(&masked), "active_state": t.text(&active, "active", "inactive"),
			})
			b := node.AppendNewBlock("unit", []string{u.name}).Body()
			set(b, "enabled", enabled, cty.BoolVal)
			set(b, "masked", masked, cty.BoolVal)
			if active != "" {
				b.SetAttributeValue("active", cty.BoolVal(active == "active"))
			}
		}
	}})
}

// An iface is an interface of the net section.
type iface struct {
	name, kind, bridge, peer, parent, master, mac, datapath, failMode string
	mtu, vlan, vni, tag                                               *int
	up                                                                *bool
	ports                                                             []string
	addresses                                                         []string
	gateways                                                          []string
}

func (t *translation) net(m member) {
	node := t.node("network", "main")
	seen := map[string]bool{}
	var all []iface
	bridges := map[string]bool{}
	t.fields(m, `"net"`, map[string]func(member){"interfaces": t.each(func(m member) {
		i := t.iface(m)
		if seen[i.name] {
			t.errorf(m, "Duplicate interface", "There is an interface %q already.", i.name)
		}
		seen[i.name] = true
		bridges[i.name] = i.kind == "ovs-bridge"
		all = append(all, i)
		if i.kind == "ovs-port" {
			t.ports[i.name] = true
			if i.bridge == "" {
				t.errorf(m, "Missing bridge", "An interface of type ovs-port has to name its bridge.")
			}
		}
	})})
	for _, i := range all {
		t.write(node, i)
		for _, p := range i.ports {
			if bridges[i.name] && !t.ports[p] {
				t.ports[p] = true
				node.AppendNewBlock("port", []string{p}).Body().SetAttributeValue("bridge", cty.StringVal(i.name))
			}
		}
	}
}

func (t *translation) iface(m member) iface {
	var i iface
	kinds := []string{"ovs-bridge", "ovs-port", "bridge", "ethernet", "existing", "veth", "vlan", "vxlan", "bond", "dummy", "macvlan", "tun", "tap", "vrf", "ifb"}
	t.fields(m, "An interface", map[string]func(member){
		"name": t.text(&i.name), "type": t.text(&i.kind, kinds...), "bridge": t.text(&i.bridge), "peer": t.text(&i.peer), "parent": t.text(&i.parent),
		"master": t.text(&i.master), "mac": t.text(&i.mac), "mac_address": t.text(&i.mac), "datapath_type": t.text(&i.datapath), "fail_mode": t.text(&i.failMode),
		"mtu": t.number(&i.mtu), "vlan_id": t.number(&i.vlan), "vni": t.number(&i.vni), "tag": t.number(&i.tag), "up": t.truth(&i.up),
		"ports": t.each(func(m member) {
			var name string
			if t.text(&name)(m); name != "" {
				i.ports = append(i.ports, name)
			}
		}),
		"ipv4": func(m member) { t.family(m, &i, netip.Addr.Is4) },
		"ipv6": func(m member) { t.family(m, &i, netip.Addr.Is6) },
	})
	if all, is := m.value.(object); is && (!all.has("name") || !all.has("type")) {
		t.errorf(m, "Incomplete interface", "An interface has to have a name and a type.")
	}
	return i
}

// family reads the addresses of IPv4, or of IPv6.
func (t *translation) family(m member, i *iface, is func(netip.Addr) bool) {
	var enabled, dhcp *bool
	var addresses []string
	t.fields(m, "It", map[string]func(member){
		"enabled": t.truth(&enabled),
		"dhcp": func(m member) {
			if t.truth(&dhcp)(m); dhcp != nil && *dhcp {
				t.errorf(m, "No DHCP", "opdbus runs no DHCP client: give the addresses, or leave the interface to systemd-networkd.")
			}
		},
		"address": t.each(func(m member) { addresses = append(addresses, t.address(m, is)...) }),
		"gateway": func(m member) {
			var gateway string
			if t.text(&gateway)(m); gateway == "" {
				return
			}
			if a, err := netip.ParseAddr(gateway); err != nil || !is(a) {
				t.errorf(m, "Invalid gateway", "%q is no address of this family.", gateway)
				return
			}
			i.gateways = append(i.gateways, gateway)
		},
	})
	if enabled != nil && !*enabled {
		if len(addresses) > 0 {
			t.errorf(m, "Addresses that are not enabled", "It is not enabled and has addresses: leave out one or the other.")
		}
		return
	}
	i.addresses = append(i.addresses, addresses...)
}

// address reads one as a text, such as 10.0.0.1/24, or as an object of an IP address and the length of its network.
func (t *translation) address(m member, is func(netip.Addr) bool) []string {
	text, isText := m.value.(string)
	if !isText {
		var ip string
		var bits *int
		t.fields(m, "An address", map[string]func(member){"ip": t.text(&ip), "prefix": t.number(&bits)})
		if ip == "" || bits == nil {
			t.errorf(m, "Incomplete address", `An address has to have "ip" and "prefix", or to be a text such as "10.0.0.1/24".`)
			return nil
		}
		text = fmt.Sprintf("%s/%d", ip, *bits)
	}
	if p, err := netip.ParsePrefix(text); err != nil || !is(p.Addr()) {
		t.errorf(m, "Invalid address", "%q is no address of this family with the length of its network, such as 10.0.0.1/24 or fd00::1/64.", text)
		return nil
	}
	return []string{text}
}

func (t *translation) write(node *hclwrite.Body, i iface) {
	kind := "link"
	switch i.kind {
	case "ovs-bridge", "bridge":
		kind = "bridge"
	case "ovs-port":
		kind = "port"
	}
	b := node.AppendNewBlock(kind, []string{i.name}).Body()
	switch i.kind {
	case "ovs-bridge":
		b.SetAttributeValue("driver", cty.StringVal("openvswitch"))
	case "bridge":
		b.SetAttributeValue("driver", cty.StringVal("kernel"))
		if len(i.ports) > 0 {
			b.SetAttributeValue("ports", list(i.ports))
		}
	case "ovs-port":
		b.SetAttributeValue("type", cty.StringVal("internal"))
	case "ethernet":
		b.SetAttributeValue("kind", cty.StringVal("existing"))
	default:
		b.SetAttributeValue("kind", cty.StringVal(i.kind))
	}
	for _, a := range []struct{ name, value string }{
		{"bridge", i.bridge}, {"peer", i.peer}, {"parent", i.parent}, {"master", i.master}, {"mac", i.mac}, {"datapath_type", i.datapath}, {"fail_mode", i.failMode},
	} {
		if a.value != "" {
			b.SetAttributeValue(a.name, cty.StringVal(a.value))
		}
	}
	set(b, "mtu", i.mtu, whole)
	set(b, "vlan_id", i.vlan, whole)
	set(b, "vni", i.vni, whole)
	set(b, "tag", i.tag, whole)
	set(b, "up", i.up, cty.BoolVal)
	if len(i.addresses) > 0 {
		b.SetAttributeValue("addresses", list(i.addresses))
	}
	for n, gateway := range i.gateways {
		r := node.AppendNewBlock("route", []string{fmt.Sprintf("default-%s-%d", i.name, n)}).Body()
		destination := "0.0.0.0/0"
		if strings.Contains(gateway, ":") {
			destination = "::/0"
		}
		r.SetAttributeValue("destination", cty.StringVal(destination))
		r.SetAttributeValue("via", cty.StringVal(gateway))
		r.SetAttributeValue("link", cty.StringVal(i.name))
	}
}

func list(texts []string) cty.Value {
	all := make([]cty.Value, len(texts))
	for i, s := range texts {
		all[i] = cty.StringVal(s)
	}
	return cty.ListVal(all)
}
