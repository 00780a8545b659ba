package statejson

import "github.com/hashicorp/hcl/v2"

// The types of interfaces that are more than links.
const (
	switchBridge = "ovs-bridge"
	switchPort   = "ovs-port"
	kernelBridge = "bridge"
)

// existing is the kind of links that opdbus does not make.
const existing = "existing"

// A networkInterface is one entry of "interfaces".
type networkInterface struct {
	*object
	name     string
	nameAt   hcl.Range
	typeName string
	typeAt   *member
	of       interfaceType
	block    *block
	in       *networkInterface // the bridge that has it among its "ports"
	inAt     hcl.Range         // the entry there
	bridge   string            // of a port
}

// network translates {"interfaces": […]}: first what there is, then what is in what, then the blocks.
func (t *translator) network(node *block, section *member) {
	t.interfaces = map[string]*networkInterface{}
	o, ok := t.object(section.value, "Section net", "interfaces")
	if !ok {
		return
	}
	var all []*networkInterface
	for _, v := range t.items(o.get("interfaces")) {
		if i := t.declared(v); i != nil {
			all = append(all, i)
		}
	}
	for _, i := range all {
		t.membership(i)
	}
	gateways := map[string]hcl.Range{}
	for _, i := range all {
		t.bridgeOf(i)
		t.link(node, i)
	}
	for _, i := range all {
		t.routes(node, i, gateways)
	}
}

// declared reads what an interface is; nil where that cannot be told.
func (t *translator) declared(v value) *networkInterface {
	o, ok := t.open(v, "An interface")
	if !ok {
		if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "An interface has to be an object.")
		}
		return nil
	}
	name := t.required(o, "name")
	if name.sort == isNull || !t.is(name, isText, quoted("name")) {
		return nil
	}
	i := &networkInterface{object: o, name: name.text, nameAt: o.get("name").span()}
	if first := t.interfaces[i.name]; first != nil {
		t.errorf(i.nameAt, "Duplicate interface", "Interface %q is declared already at %s. Each may be declared once.", i.name, place(first.nameAt))
		return nil
	}
	t.interfaces[i.name] = i
	i.typeName, ok = t.text(o.get("type"))
	if !ok {
		if o.get("type") == nil {
			t.errorf(i.nameAt, "Missing type", `Interface %q has to have a "type".`, i.name)
		}
		return nil
	}
	i.typeAt = o.get("type")
	if i.of, ok = interfaceTypes()[i.typeName]; !ok {
		known := sorted(interfaceTypes())
		t.errorf(i.typeAt.value.at, "Unknown type", "Interfaces are of type %s, not %q.%s", words(known), i.typeName, t.hint(i.typeName, known))
		return nil
	}
	i.what = "An interface of type " + i.typeName
	known := []string{"name", "type", "ipv4", "ipv6", "properties", "property_schema"}
	if i.isBridge() {
		known = append(known, "ports")
	}
	for _, f := range i.of.takes {
		known = append(known, f.name)
	}
	t.known(o, known...)
	for _, name := range []string{"properties", "property_schema"} {
		if m := o.get(name); m != nil {
			t.leftOut(m, "is what the older tool found on its host, and has no counterpart. What of it is to be so is declared by itself, such as an mtu.")
		}
	}
	return i
}

func (i *networkInterface) isBridge() bool {
	return i.typeName == switchBridge || i.typeName == kernelBridge
}

// membership notes at the declared interfaces in which bridge they are.
func (t *translator) membership(i *networkInterface) {
	if !i.isBridge() {
		return
	}
	for _, v := range t.texts(i.get("ports")) {
		port := t.interfaces[v.text]
		if port == nil || port == i {
			continue // one that is on the host already, or a mistake that is seen when the bridge is loaded
		}
		switch {
		case port.in == i: // said twice, which is seen when the bridge is written
		case port.in != nil:
			t.errorf(v.at, "Port of two bridges", "%q is among the ports of %q already, at %s. A port is on one bridge.", v.text, port.in.name, place(port.inAt))
		case port.isBridge():
			t.errorf(v.at, "A bridge as a port", "%q is a bridge, which no other has as its port.", v.text)
		case port.typeName == switchPort && i.typeName == kernelBridge:
			t.errorf(v.at, "Port of another sort of bridge", "%q is a port of Open vSwitch, and %q a bridge of the kernel.", v.text, i.name)
		case port.typeName == switchPort && port.get("bridge") != nil && port.get("bridge").value.text != i.name:
			t.errorf(v.at, "Port of two bridges", "%q says itself that it is on another bridge, at %s.", v.text, place(port.get("bridge").at))
		}
		port.in, port.inAt = i, v.at
	}
}

// bridgeOf sees that the bridge of a port is there.
func (t *translator) bridgeOf(i *networkInterface) {
	if i.typeName != switchPort {
		return
	}
	m := i.get("bridge")
	if m == nil {
		if i.in == nil {
			t.errorf(i.nameAt, "Missing bridge", "Port %q has to say on which \"bridge\" it is.", i.name)
			return
		}
		i.bridge = i.in.name
		return
	}
	name, ok := t.text(m)
	if !ok {
		return
	}
	i.bridge = name
	switch bridge := t.interfaces[name]; {
	case bridge == nil:
		var known []string
		for _, other := range sorted(t.interfaces) {
			if t.interfaces[other].typeName == switchBridge {
				known = append(known, other)
			}
		}
		t.errorf(m.value.at, "Bridge not declared", "No interface of the document is called %q. A port needs its bridge, of type %s, among the interfaces.%s", name, switchBridge, t.hint(name, known))
	case bridge.typeName != switchBridge:
		t.errorf(m.value.at, "No bridge of Open vSwitch", "%q is of type %s, declared at %s. A port of type %s is on a bridge of type %s.", name, bridge.typeName, place(bridge.nameAt), switchPort, switchBridge)
	}
}

// link writes the block of an interface.
func (t *translator) link(node *block, i *networkInterface) {
	i.block = node.add(i.of.block, i.nameAt, i.name)
	b := i.block
	if m := i.get("bridge"); i.typeName == switchPort && m != nil {
		b.set("bridge", m.span(), text(m.value.at, i.bridge))
	} else if i.typeName == switchPort {
		b.set("bridge", i.inAt, text(i.inAt, i.bridge))
	}
	b.set(i.of.says, i.typeAt.span(), text(i.typeAt.value.at, i.of.as))
	for _, f := range i.of.takes {
		if m := i.get(f.name); m != nil && f.name != "bridge" {
			if value, ok := t.plain(m, f.is); ok {
				b.set(f.name, m.span(), value)
			}
		}
	}
	if i.of.block == "link" && i.in != nil && i.in.typeName == kernelBridge {
		t.enslaved(i)
	}
	addresses := t.addresses(i)
	if len(addresses.list) > 0 {
		b.set("addresses", addresses.at, addresses)
	}
	// What is to have an address is to be reached by it; networkd(8), which the older tool wrote files for, brings such a link up.
	if i.of.as == existing && i.get("up") == nil && (len(addresses.list) > 0 || t.gateway(i, "ipv4") != nil || t.gateway(i, "ipv6") != nil) {
		b.set("up", addresses.at, boolean(addresses.at, true))
	}
	if i.isBridge() {
		t.ports(i)
	}
}

// enslaved puts a declared link into the bridge of the kernel that has it among its ports.
func (t *translator) enslaved(i *networkInterface) {
	if own := i.get("master"); own == nil {
		i.block.set("master", i.inAt, text(i.inAt, i.in.name))
	} else if own.value.text != i.in.name {
		t.errorf(own.value.at, "Link in two bridges", "%q is among the ports of %q, at %s.", i.name, i.in.name, place(i.inAt))
	}
}

// ports writes those of a bridge that are no blocks of their own, which say themselves where they are.
func (t *translator) ports(i *networkInterface) {
	var left []value
	first := map[string]hcl.Range{}
	m := i.get("ports")
	if m == nil {
		return
	}
	for _, v := range m.value.items {
		if v.sort != isText {
			continue // reported before
		}
		if at, twice := first[v.text]; twice {
			t.errorf(v.at, "Duplicate port", "%q is among the ports already, at %s.", v.text, place(at))
			continue
		}
		first[v.text] = v.at
		port := t.interfaces[v.text]
		if port == nil || port == i || port.of.block == "link" && i.typeName == switchBridge {
			left = append(left, v)
		}
	}
	if len(left) > 0 {
		i.block.set("ports", m.span(), textsAt(m.value.at, left))
	}
}
