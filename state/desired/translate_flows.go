package desired

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

func (t *translation) openflow(m member) {
	node := t.node("plugin", "openflow")
	var secured *bool
	type bridge struct {
		member
		name  string
		flows []member
	}
	var bridges []bridge
	t.fields(m, `"openflow"`, map[string]func(member){
		"enable_security_flows": t.truth(&secured),
		"obfuscation_level": func(m member) {
			if n, _ := m.value.(json.Number); n != "0" {
				t.warnf(m, "Left out", "There is no obfuscation in opdbus: flows that rewrite packets have to be declared.")
			}
		},
		"bridges": t.each(func(m member) {
			b := bridge{member: m}
			t.fields(m, "A bridge", map[string]func(member){
				"name":  t.text(&b.name),
				"flows": t.each(func(m member) { b.flows = append(b.flows, m) }),
				"socket_ports": t.each(func(m member) {
					var name string
					t.fields(m, "A socket port", map[string]func(member){"name": t.text(&name), "container_id": t.ignore})
					if !t.ports[name] {
						t.warnf(m, "Port not declared", "The net section declares no port %q, so that there will be none.", name)
					}
				}),
			})
			if b.name == "" {
				t.errorf(m, "Missing name", "A bridge has to have a name.")
			}
			bridges = append(bridges, b)
		}),
	})
	for _, b := range bridges {
		of := node.AppendNewBlock("bridge", []string{b.name}).Body()
		if secured != nil && *secured {
			of.SetAttributeValue("security_profile", cty.StringVal("basic"))
		}
		for i, f := range b.flows {
			t.flow(of, fmt.Sprintf("flow-%d", i), f)
		}
	}
}

func (t *translation) flow(bridge *hclwrite.Body, name string, m member) {
	var table, priority, idle, hard *int
	match := map[string]cty.Value{}
	var actions []string
	t.fields(m, "A flow", map[string]func(member){
		"name": t.text(&name), "table": t.number(&table), "priority": t.number(&priority), "idle_timeout": t.number(&idle), "hard_timeout": t.number(&hard),
		"cookie": func(m member) { t.warnf(m, "Left out", "opdbus knows its flows by cookies of its own.") },
		"match_fields": func(m member) {
			fields, is := m.value.(object)
			if !is {
				t.errorf(m, "Incorrect type", `"match_fields" has to be an object of values by fields.`)
			}
			for _, f := range fields {
				switch v := f.value.(type) {
				case string:
					match[f.name] = cty.StringVal(v)
				case json.Number:
					match[f.name] = cty.StringVal(v.String())
				case nil, bool:
					if v != false {
						match[f.name] = cty.StringVal("")
					}
				default:
					t.errorf(f, "Incorrect type", "The value of a field has to be a text or a number.")
				}
			}
		},
		"actions": t.each(func(m member) {
			if a := t.action(m); a != "" {
				actions = append(actions, a)
			}
		}),
	})
	b := bridge.AppendNewBlock("flow", []string{name}).Body()
	set(b, "table", table, whole)
	set(b, "priority", priority, whole)
	if len(match) > 0 {
		b.SetAttributeValue("match", cty.ObjectVal(match))
	}
	if len(actions) == 0 {
		t.errorf(m, "Missing actions", `A flow has to have actions; {"type": "drop"} drops the packets.`)
		return
	}
	b.SetAttributeValue("actions", list(actions))
	for attr, timeout := range map[string]*int{"idle_timeout": idle, "hard_timeout": hard} {
		if timeout != nil && *timeout != 0 {
			set(b, attr, timeout, whole)
		}
	}
}

// action is one in the words of ovs-ofctl(8).
func (t *translation) action(m member) string {
	if s, is := m.value.(string); is {
		return s
	}
	plain := []string{"normal", "drop", "flood", "all", "local", "in_port", "controller", "strip_vlan"}
	var kind, port, field, value string
	var table *int
	t.fields(m, "An action", map[string]func(member){
		"type": t.text(&kind, append(plain, "output", "goto_table", "resubmit", "set_field")...), "table": t.number(&table), "field": t.text(&field),
		"value": t.text(&value),
		"port": func(m member) {
			if n, is := m.value.(json.Number); is {
				port = n.String()
				return
			}
			t.text(&port)(m)
		},
	})
	switch {
	case slices.Contains(plain, kind):
		return kind
	case kind == "output" && port != "":
		return "output:" + port
	case kind == "goto_table" && table != nil:
		return fmt.Sprintf("goto_table:%d", *table)
	case kind == "resubmit" && table != nil:
		return fmt.Sprintf("resubmit(,%d)", *table)
	case kind == "set_field" && field != "" && value != "":
		return fmt.Sprintf("set_field:%s->%s", value, field)
	}
	t.errorf(m, "Incomplete action", `An action has to have a type and what goes with it: "port" with output, "table" with goto_table and resubmit, "field" and "value" with set_field.`)
	return ""
}
