package statejson

import (
	"fmt"
	"strings"
)

// An actionType is an action of flows: the members that it has, and how it is written.
type actionType struct {
	takes []string
	write func(said map[string]string) string
}

func actionTypes() map[string]actionType {
	plain := func(name string) actionType {
		return actionType{nil, func(map[string]string) string { return name }}
	}
	return map[string]actionType{
		"normal": plain("normal"), "drop": plain("drop"), "flood": plain("flood"), "all": plain("all"), "local": plain("local"), "in_port": plain("in_port"),
		"strip_vlan": plain("strip_vlan"),
		"output":     {[]string{"port"}, func(said map[string]string) string { return "output:" + said["port"] }},
		"resubmit":   {[]string{"table"}, func(said map[string]string) string { return "resubmit(," + said["table"] + ")" }},
		"goto_table": {[]string{"table"}, func(said map[string]string) string { return "goto_table:" + said["table"] }},
		"set_field":  {[]string{"field", "value"}, func(said map[string]string) string { return "set_field:" + said["value"] + "->" + said["field"] }},
		"load_register": {[]string{"register", "value"}, func(said map[string]string) string {
			return "load:" + said["value"] + "->NXM_NX_REG" + said["register"] + "[]"
		}},
		"controller": {[]string{"max_len"}, func(said map[string]string) string {
			if n := said["max_len"]; n != "" {
				return "controller:" + n
			}
			return "controller"
		}},
	}
}

// action translates one, which may be written as it is in HCL too.
func (t *translator) action(v value) (string, bool) {
	if v.sort == isText {
		return v.text, true
	}
	o, ok := t.open(v, "An action")
	if !ok {
		if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "An action has to be an object.")
		}
		return "", false
	}
	name, ok := t.text(o.get("type"))
	if !ok {
		if o.get("type") == nil {
			t.errorf(v.at, "Missing type", `An action has to have a "type".`)
		}
		return "", false
	}
	known := sorted(actionTypes())
	of, ok := actionTypes()[name]
	if !ok {
		t.errorf(o.get("type").value.at, "Unknown action", "Actions are of type %s, not %q.%s An action may also be a text, as ovs-actions(7) has it.", words(known), name, t.hint(name, known))
		return "", false
	}
	o.what = "An action of type " + name
	t.known(o, append([]string{"type"}, of.takes...)...)
	said := map[string]string{}
	for _, part := range of.takes {
		s, fine := t.part(o, part)
		said[part], ok = s, ok && fine
	}
	return of.write(said), ok
}

// part is a member of an action, as text that says nothing else.
func (t *translator) part(o *object, name string) (string, bool) {
	m := o.get(name)
	if m == nil {
		if name == "max_len" {
			return "", true
		}
		t.errorf(o.at, "Missing "+name, "%s has to have %q.", o.what, name)
		return "", false
	}
	var s string
	switch m.value.sort {
	case isText:
		s = m.value.text
	case isNumber:
		if n, ok := whole(m.value.number); ok {
			s = fmt.Sprint(n)
		}
	}
	if s == "" || strings.ContainsAny(s, ",() \t\r\n\"") || strings.Contains(s, "->") {
		t.errorf(m.value.at, "Invalid "+name, "The %s of an action is a word or a whole number, without commas, brackets and spaces.", name)
		return "", false
	}
	return s, true
}
