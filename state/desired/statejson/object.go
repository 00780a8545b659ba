package statejson

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// An object is one of the document's, checked for names that nobody knows.
type object struct {
	value
	what string // for messages
}

// object takes a value as an object with the names that are known in it.
func (t *translator) object(v value, what string, known ...string) (*object, bool) {
	o, ok := t.open(v, what)
	if ok {
		t.known(o, known...)
	}
	return o, ok
}

// open takes a value as an object with whatever names.
func (t *translator) open(v value, what string) (*object, bool) {
	o := &object{value: v, what: what}
	if !t.is(v, isObject, what) {
		return o, false
	}
	first := map[string]hcl.Range{}
	for _, m := range v.members {
		if at, twice := first[m.name]; twice {
			t.errorf(m.at, "Duplicate member", "%q is said already at %s. Each may be said once.", m.name, place(at))
			continue
		}
		first[m.name] = m.at
	}
	return o, true
}

// known refuses the names that nobody knows: what is not understood must not be left out unsaid.
func (t *translator) known(o *object, known ...string) {
	for _, m := range o.members {
		if !slices.Contains(known, m.name) {
			t.errorf(m.at, "Unknown member", "%s has no %q.%s", o.what, m.name, t.hint(m.name, known))
		}
	}
}

// get is the member of a name; nil where it is not there, or null, which says the same.
func (o *object) get(name string) *member {
	for i := range o.members {
		if m := &o.members[i]; m.name == name && m.value.sort != isNull {
			return m
		}
	}
	return nil
}

// required is the value of a member that has to be there; null where it is not, which is reported.
func (t *translator) required(o *object, name string) value {
	if m := o.get(name); m != nil {
		return m.value
	}
	t.errorf(o.at, "Missing "+name, "%s has to have %q.", o.what, name)
	return value{at: o.at}
}

// is checks which sort a value is of. A null, which stands for what is missing, is reported where it is looked for.
func (t *translator) is(v value, want sort, what string) bool {
	if v.sort == want {
		return true
	}
	if v.sort != isNull {
		t.errorf(v.at, "Wrong type", "%s is %s, and has to be %s.", what, v.sort, want)
	}
	return false
}

func (t *translator) text(m *member) (string, bool) {
	if m == nil || !t.is(m.value, isText, quoted(m.name)) {
		return "", false
	}
	return m.value.text, true
}

func (t *translator) boolean(m *member) (is, ok bool) {
	if m == nil || !t.is(m.value, isBool, quoted(m.name)) {
		return false, false
	}
	return m.value.truth, true
}

func (t *translator) integer(m *member) (int64, bool) {
	if m == nil || !t.is(m.value, isNumber, quoted(m.name)) {
		return 0, false
	}
	n, ok := whole(m.value.number)
	if !ok {
		t.errorf(m.value.at, "Wrong number", "%q has to be a whole number.", m.name)
	}
	return n, ok
}

// within is an integer with its bounds.
func (t *translator) within(m *member, least, most int64) (int64, bool) {
	n, ok := t.integer(m)
	if ok && (n < least || n > most) {
		t.errorf(m.value.at, "Wrong number", "%q is %d, which is not within %d and %d.", m.name, n, least, most)
		return 0, false
	}
	return n, ok
}

func whole(f *big.Float) (int64, bool) {
	n, exact := f.Int64()
	return n, exact == big.Exact
}

// items are those of a list; none where there is no such member.
func (t *translator) items(m *member) []value {
	if m == nil || !t.is(m.value, isList, quoted(m.name)) {
		return nil
	}
	return m.value.items
}

// texts are the items of a list of texts.
func (t *translator) texts(m *member) (texts []value) {
	for _, v := range t.items(m) {
		if t.is(v, isText, "Each of "+quoted(m.name)) {
			texts = append(texts, v)
		} else if v.sort == isNull {
			t.errorf(v.at, "Wrong type", "Each of %q has to be a text.", m.name)
		}
	}
	return texts
}

func (t *translator) errorf(at hcl.Range, summary, detail string, args ...any) {
	t.say(hcl.DiagError, at, summary, detail, args)
}

func (t *translator) warnf(at hcl.Range, summary, detail string, args ...any) {
	t.say(hcl.DiagWarning, at, summary, detail, args)
}

func (t *translator) say(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail string, args []any) {
	t.diags = append(t.diags, &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at})
}

// leftOut warns of what opdbus has no counterpart for.
func (t *translator) leftOut(m *member, detail string) {
	t.warnf(m.span(), "Left out", "%q %s", m.name, detail)
}

func quoted(name string) string { return fmt.Sprintf("%q", name) }

func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
