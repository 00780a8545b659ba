package statejson

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// flows translates those of a bridge. One without a name is called by what makes it different from the others, so that it stays the same when
// others come and go.
func (t *translator) flows(b *block, m *member) {
	first, named := map[string]hcl.Range{}, map[string]hcl.Range{}
	for _, v := range t.items(m) {
		if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "A flow has to be an object.")
			continue
		}
		o, ok := t.object(v, "A flow", "name", "table", "priority", "match_fields", "actions", "cookie", "idle_timeout", "hard_timeout")
		if !ok {
			continue
		}
		inner := &block{kind: "flow", at: v.at}
		parts := []string{t.bounded(inner, o, "table", 254), t.bounded(inner, o, "priority", 65535)}
		slot := strings.Join(append(parts, t.match(inner, o)...), ",")
		name := slot
		if m := o.get("name"); m != nil {
			name, _ = t.text(m)
			inner.at = m.span()
		}
		inner.labels = []string{name}
		t.actions(inner, o)
		for _, timeout := range []string{"idle_timeout", "hard_timeout"} {
			if m := o.get(timeout); m != nil {
				if n, ok := t.within(m, 0, 65535); ok && n > 0 { // 0 is none
					inner.set(timeout, m.span(), number(m.value.at, n))
				}
			}
		}
		if m := o.get("cookie"); m != nil {
			if _, ok := t.integer(m); ok {
				t.leftOut(m, "has no counterpart: opdbus gives its flows a cookie, by which it knows them.")
			}
		}
		if at, twice := named[name]; twice && first[slot].Filename == "" {
			t.errorf(inner.at, "Duplicate flow", "There is a flow %q already at %s.", name, place(at))
			continue
		}
		if at, twice := first[slot]; twice {
			t.errorf(inner.at, "Duplicate flow", "There is a flow of this table, priority and match already at %s. The switch has one of each.", place(at))
			continue
		}
		first[slot], named[name] = inner.at, inner.at
		b.blocks = append(b.blocks, inner)
	}
}

// bounded sets a number of a flow that is part of what makes it different from others, and says it for the flow's name.
func (t *translator) bounded(b *block, o *object, name string, most int64) string {
	var n int64
	if name == "priority" {
		n = 32768 // OFP_DEFAULT_PRIORITY, which a flow without one has
	}
	if m := o.get(name); m != nil {
		var ok bool
		if n, ok = t.within(m, 0, most); ok {
			b.set(name, m.span(), number(m.value.at, n))
		}
	}
	return fmt.Sprintf("%s=%d", name, n)
}

// match sets what a flow matches, and says it for the flow's name. A name without a value stands for a protocol.
func (t *translator) match(b *block, o *object) (name []string) {
	m := o.get("match_fields")
	if m == nil {
		b.set("match", o.at, mapping(o.at, nil))
		return nil
	}
	fields, ok := t.open(m.value, quoted(m.name))
	if !ok {
		return nil
	}
	var pairs []pair
	for i := range fields.members {
		f := &fields.members[i]
		s, ok := t.matched(f)
		if !ok {
			continue
		}
		pairs = append(pairs, pair{f.name, text(f.value.at, s)})
		if s == "" {
			name = append(name, f.name)
		} else {
			name = append(name, f.name+"="+s)
		}
	}
	slices.Sort(name)
	b.set("match", m.span(), mapping(m.value.at, pairs))
	return name
}

func (t *translator) matched(f *member) (string, bool) {
	switch f.value.sort {
	case isNull:
		return "", true
	case isText:
		return f.value.text, true
	case isNumber:
		if n, ok := whole(f.value.number); ok {
			return strconv.FormatInt(n, 10), true
		}
	}
	t.errorf(f.value.at, "Wrong type", "What %q is to match is a text or a whole number.", f.name)
	return "", false
}

// actions translates those of a flow into the notation of ovs-actions(7).
func (t *translator) actions(b *block, o *object) {
	m := o.get("actions")
	if m == nil || m.value.sort == isList && len(m.value.items) == 0 {
		at := o.at
		if m != nil {
			at = m.span()
		}
		t.errorf(at, "Missing actions", `A flow without actions drops what it matches. Where that is meant, it says so: "actions": [{"type": "drop"}].`)
		return
	}
	var actions []expression
	for _, v := range t.items(m) {
		if s, ok := t.action(v); ok {
			actions = append(actions, text(v.at, s))
		}
	}
	b.set("actions", m.span(), list(m.value.at, actions...))
}
