package statejson

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// An interfaceType is what interfaces of a type become: a block, the attribute of it that says what it is, and what else it has.
type interfaceType struct {
	block    string
	says, as string
	takes    []field
}

// A field is a member that goes by the same name in HCL.
type field struct {
	name string
	is   fieldSort
}

type fieldSort int

const (
	aText fieldSort = iota
	aNumber
	aBool
	someTexts
	someNumbers
	textsByName
)

func interfaceTypes() map[string]interfaceType {
	link := func(kind string, more ...field) interfaceType {
		return interfaceType{"link", "kind", kind, append(more, field{"master", aText}, field{"mtu", aNumber}, field{"mac", aText}, field{"up", aBool})}
	}
	return map[string]interfaceType{
		switchBridge: {"bridge", "driver", "openvswitch", []field{
			{"controller", aText}, {"datapath_type", aText}, {"fail_mode", aText}, {"protocols", someTexts}, {"stp", aBool},
			{"external_ids", textsByName}, {"other_config", textsByName},
		}},
		switchPort:   {"port", "type", "internal", []field{{"bridge", aText}, {"tag", aNumber}, {"trunks", someNumbers}, {"options", textsByName}}},
		kernelBridge: {"bridge", "driver", "kernel", nil},
		"ethernet":   link(existing),
		existing:     link(existing),
		"veth":       link("veth", field{"peer", aText}),
		"vlan":       link("vlan", field{"parent", aText}, field{"vlan_id", aNumber}),
		"vxlan":      link("vxlan", field{"vni", aNumber}, field{"parent", aText}, field{"local", aText}, field{"remote", aText}, field{"port", aNumber}),
		"bond":       link("bond", field{"mode", aText}),
		"dummy":      link("dummy"),
		"macvlan":    link("macvlan", field{"parent", aText}, field{"mode", aText}),
		"tun":        link("tun"),
		"tap":        link("tap"),
		"vrf":        link("vrf", field{"table", aNumber}),
		"ifb":        link("ifb"),
	}
}

// plain translates a member that is the same in HCL.
func (t *translator) plain(m *member, is fieldSort) (expression, bool) {
	at := m.value.at
	switch is {
	case aText:
		s, ok := t.text(m)
		return text(at, s), ok
	case aNumber:
		n, ok := t.integer(m)
		return number(at, n), ok
	case aBool:
		b, ok := t.boolean(m)
		return boolean(at, b), ok
	case someTexts:
		return textsAt(at, t.texts(m)), true
	case someNumbers:
		items := []expression{}
		for _, v := range t.items(m) {
			if n, ok := t.integer(&member{name: m.name, at: v.at, value: v}); ok {
				items = append(items, number(v.at, n))
			}
		}
		return list(at, items...), true
	}
	o, ok := t.open(m.value, quoted(m.name))
	if !ok {
		return expression{at: at, plain: cty.EmptyObjectVal}, false
	}
	var pairs []pair
	for i := range o.members {
		if s, ok := t.text(&o.members[i]); ok {
			pairs = append(pairs, pair{o.members[i].name, text(o.members[i].value.at, s)})
		}
	}
	return mapping(at, pairs), true
}

// words are names in a row.
func words(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s or %s", strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}
