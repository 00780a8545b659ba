package statejson

import (
	"fmt"
	"strconv"
	"strings"
)

// units translates {"units": {NAME: {"enabled", "active_state", "masked", "properties"}}}.
func (t *translator) units(node *block, section *member) {
	o, ok := t.object(section.value, "Section systemd", "units")
	if !ok || o.get("units") == nil {
		return
	}
	units, ok := t.open(o.get("units").value, quoted("units"))
	if !ok {
		return
	}
	for i := range units.members {
		t.unit(node, &units.members[i])
	}
}

func (t *translator) unit(node *block, m *member) {
	o, ok := t.object(m.value, "A unit", "enabled", "active_state", "masked", "properties")
	if !ok {
		if m.value.sort == isNull {
			t.errorf(m.at, "Wrong type", "Unit %q has to be an object.", m.name)
		}
		return
	}
	b := node.add("unit", m.at, m.name)
	if enabled := o.get("enabled"); enabled != nil {
		if is, ok := t.boolean(enabled); ok {
			b.set("enabled", enabled.span(), boolean(enabled.value.at, is))
		}
	}
	if active := o.get("active_state"); active != nil {
		switch state, ok := t.text(active); {
		case !ok:
		case state == "active" || state == "inactive":
			b.set("active", active.span(), boolean(active.value.at, state == "active"))
		default:
			t.errorf(active.value.at, "Unknown state", `A unit can be asked to be "active" or "inactive", not %q.`, state)
		}
	}
	if masked := o.get("masked"); masked != nil {
		if is, ok := t.boolean(masked); ok {
			b.set("masked", masked.span(), boolean(masked.value.at, is))
		}
	}
	if properties := o.get("properties"); properties != nil {
		t.properties(b, properties)
	}
}

// properties translates those of a unit into GVariant's notation, which configurations have them in.
func (t *translator) properties(b *block, m *member) {
	o, ok := t.open(m.value, quoted(m.name))
	if !ok {
		return
	}
	var pairs []pair
	for _, p := range o.members {
		if s, ok := variant(p.value); ok {
			pairs = append(pairs, pair{p.name, text(p.value.at, s)})
		} else {
			t.errorf(p.value.at, "Wrong type", "A property is a text, a whole number, true or false.")
		}
	}
	b.set("properties", m.span(), mapping(m.value.at, pairs))
}

func variant(v value) (string, bool) {
	switch v.sort {
	case isText:
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(v.text) + "'", true
	case isNumber:
		n, ok := whole(v.number)
		return strconv.FormatInt(n, 10), ok
	case isBool:
		return fmt.Sprint(v.truth), true
	}
	return "", false
}
