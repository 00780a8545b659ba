package statejson

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// openflow translates {"bridges": [{"name", "flows", "socket_ports"}], "enable_security_flows", "obfuscation_level"}.
func (t *translator) openflow(node *block, section *member) {
	o, ok := t.object(section.value, "Section openflow", "bridges", "enable_security_flows", "obfuscation_level", "controller_endpoint", "flow_policies", "auto_discover_containers")
	if !ok {
		return
	}
	t.unsupportedFlows(o)
	// The older tool has its security flows on unless it is told otherwise.
	profile, at := text(section.at, "basic"), section.at
	if m := o.get("enable_security_flows"); m != nil {
		if is, ok := t.boolean(m); ok && !is {
			profile = text(m.value.at, "none")
		}
		at, profile.at = m.span(), m.value.at
	}
	first := map[string]hcl.Range{}
	for _, v := range t.items(o.get("bridges")) {
		if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "A bridge has to be an object.")
			continue
		}
		bridge, ok := t.object(v, "A bridge", "name", "flows", "socket_ports", "datapath_type")
		if !ok {
			continue
		}
		name := t.required(bridge, "name")
		if name.sort == isNull || !t.is(name, isText, quoted("name")) {
			continue
		}
		nameAt := bridge.get("name").span()
		if at, twice := first[name.text]; twice {
			t.errorf(nameAt, "Duplicate bridge", "Bridge %q has flows already at %s. Each may be declared once.", name.text, place(at))
			continue
		}
		first[name.text] = nameAt
		b := node.add("bridge", nameAt, name.text)
		b.set("security_profile", at, profile)
		t.flowBridge(name)
		t.flows(b, bridge.get("flows"))
		t.socketPorts(bridge, name.text)
		if m := bridge.get("datapath_type"); m != nil {
			t.leftOut(m, "belongs to the bridge's interface: say it there, in the section net.")
		}
	}
}

// unsupportedFlows warns of what has no counterpart, where it says anything.
func (t *translator) unsupportedFlows(o *object) {
	if m := o.get("obfuscation_level"); m != nil {
		if n, ok := t.within(m, 0, 3); ok && n > 0 {
			t.leftOut(m, "has no counterpart: opdbus makes the flows that are declared, and disguises no traffic.")
		}
	}
	if m := o.get("controller_endpoint"); m != nil {
		if _, ok := t.text(m); ok {
			t.leftOut(m, `has no counterpart here: the "controller" of the bridge's interface, in the section net, names one.`)
		}
	}
	if m := o.get("flow_policies"); m != nil && len(t.items(m)) > 0 {
		t.leftOut(m, "has no counterpart: flows are declared one by one. A dynamic block in HCL makes several.")
	}
	if m := o.get("auto_discover_containers"); m != nil {
		if is, ok := t.boolean(m); ok && is {
			t.leftOut(m, "has no counterpart: opdbus looks after what is declared, and discovers nothing.")
		}
	}
}

// flowBridge warns of a bridge that nobody declares.
func (t *translator) flowBridge(name value) {
	if t.interfaces == nil {
		return
	}
	if i := t.interfaces[name.text]; i == nil {
		t.warnf(name.at, "Bridge not declared", "The section net has no bridge %q: it has to be on the host already.%s", name.text, t.hint(name.text, sorted(t.interfaces)))
	} else if i.typeName != switchBridge {
		t.errorf(name.at, "No bridge of Open vSwitch", "%q is of type %s, declared at %s. Flows are on a bridge of type %s.", name.text, i.typeName, place(i.nameAt), switchBridge)
	}
}

// socketPorts sees that the ports are declared: that they are is all that opdbus has to know.
func (t *translator) socketPorts(bridge *object, name string) {
	m := bridge.get("socket_ports")
	if m == nil {
		return
	}
	lost := map[string]bool{}
	for _, v := range t.items(m) {
		if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "A socket port has to be an object.")
			continue
		}
		o, ok := t.object(v, "A socket port", "name", "container_id", "container_name", "port_type", "ofport")
		if !ok {
			continue
		}
		port := t.required(o, "name")
		if port.sort == isNull || !t.is(port, isText, quoted("name")) {
			continue
		}
		for _, other := range o.members {
			if other.name != "name" && other.value.sort != isNull {
				lost[other.name] = true
			}
		}
		i := t.interfaces[port.text]
		switch {
		case i == nil || i.typeName != switchPort:
			t.warnf(port.at, "Port not declared", "The section net has no interface %q of type %s: it has to be on the host already.%s", port.text, switchPort, t.hint(port.text, t.portNames()))
		case i.bridge != name:
			t.warnf(port.at, "Port of another bridge", "%q is declared on bridge %q, at %s.", port.text, i.bridge, place(i.nameAt))
		}
	}
	if len(lost) > 0 {
		t.leftOut(m, fmt.Sprintf("names ports that the section net declares. What else it says of them (%s) has no counterpart.", strings.Join(sorted(lost), ", ")))
	}
}

func (t *translator) portNames() (names []string) {
	for _, name := range sorted(t.interfaces) {
		if t.interfaces[name].typeName == switchPort {
			names = append(names, name)
		}
	}
	return names
}
