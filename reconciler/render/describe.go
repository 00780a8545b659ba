package render

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opdbus/opdbus/state"
)

// describe says what becomes of an object, on one line, and what does not fit there on the lines below.
func (t *text) describe(c *state.Change) (what string, below []string, err error) {
	switch c.Action() {
	case state.Forget:
		if c.Before == nil {
			return "no longer managed", nil, nil
		}
		return "no longer managed, left in place", nil, nil
	case state.Update, state.Replace:
		ds, err := c.Differences(t.o.Key)
		if err != nil || len(ds) == 0 {
			return t.summary(c, c.After, err)
		}
		what, below = t.differences(ds)
		return what, below, nil
	case state.Delete:
		return t.summary(c, c.Before, nil)
	case state.Fire:
		return does(c.Trigger), nil, nil
	}
	return t.summary(c, c.After, nil)
}

// does is a trigger as a plan says it.
func does(t state.Trigger) string { return string(t) + "s" }

// differences writes each attribute as NAME OLD -> NEW, or as a text diff when the values are long.
func (t *text) differences(ds []state.Difference) (what string, below []string) {
	var short []string
	for _, d := range ds {
		if kept(d.Name) && !t.o.Verbose {
			continue
		}
		if d.Sensitive {
			short = append(short, t.clean(d.Name)+" (sensitive)")
			continue
		}
		if diff := t.diff(d); diff != nil {
			short = append(short, t.clean(d.Name))
			diff[0] = t.clean(d.Name) + " " + diff[0]
			below = append(below, diff...)
			continue
		}
		short = append(short, t.clean(d.Name)+" "+t.value(d.Before, t.o.Verbose)+" -> "+t.value(d.After, t.o.Verbose))
	}
	room := 100
	if t.o.Width > 0 {
		room = max(t.o.Width-objectWidth-8, 40)
	}
	what = strings.Join(short, ", ")
	if len(short) > 1 && utf8.RuneCountInString(what) > room {
		return short[0], append(short[1:], below...)
	}
	return what, below
}

// kept says of an attribute that it is what was there before opdbus, or what is kept besides, which say nothing of what becomes now.
func kept(name string) bool { return name == "found" || name == "besides" }

// summary tells an object from others by its attributes; it knows none of the kinds, only how attributes are called.
func (t *text) summary(c *state.Change, o state.Object, err error) (what string, below []string, _ error) {
	if err != nil {
		return "", nil, err
	}
	attrs, err := state.Attributes(o, c.Sensitive, t.o.Key)
	if err != nil {
		return "", nil, err
	}
	// What only repeats the address, and what is not set, says nothing.
	attrs = slices.DeleteFunc(attrs, func(a state.Attribute) bool {
		return !a.Sensitive && (unset(a.Value) || str(a.Value) == c.Addr.Key && a.Name != "target")
	})
	if t.o.Verbose {
		for _, a := range attrs {
			below = append(below, t.clean(a.Name)+" "+t.attribute(a, true))
		}
	}
	target, link := find(attrs, "target"), find(attrs, "link")
	if link != nil && target != nil {
		return t.bare(*target) + " -> " + t.bare(*link), below, nil
	}
	details := t.details(attrs)
	if target == nil {
		return details, below, nil
	}
	if details == "" {
		return t.bare(*target), below, nil
	}
	return t.bare(*target) + " (" + details + ")", below, nil
}

// details are the first few attributes that tell something: not digests, not that root owns it, and no lists, which are
// long and which verbose output has.
func (t *text) details(attrs []state.Attribute) string {
	var parts []string
	for _, a := range attrs {
		root := (a.Name == "owner" || a.Name == "group") && str(a.Value) == "root"
		list := !a.Sensitive && strings.HasPrefix(string(a.Value), "[")
		if a.Name == "target" || root || list || kept(a.Name) || isDigest(str(a.Value)) {
			continue
		}
		if len(parts) == 4 {
			parts = append(parts, t.glyph("…", "..."))
			break
		}
		name := t.clean(a.Name)
		switch a.Name {
		case "type":
			parts = append(parts, t.bare(a))
		case "mode":
			parts = append(parts, "mode "+t.bare(a))
		case "size":
			var n int64
			if !a.Sensitive && json.Unmarshal(a.Value, &n) == nil {
				parts = append(parts, Bytes(n))
				continue
			}
			fallthrough
		default:
			parts = append(parts, name+" "+t.attribute(a, false))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *text) attribute(a state.Attribute, whole bool) string {
	if a.Sensitive {
		return "(sensitive)"
	}
	return t.value(a.Value, whole)
}

// bare is a string without quotes, where nobody would look for its end elsewhere.
func (t *text) bare(a state.Attribute) string {
	if s := str(a.Value); s != "" && !a.Sensitive {
		return t.clean(s)
	}
	return t.attribute(a, false)
}

func find(attrs []state.Attribute, name string) *state.Attribute {
	if i := slices.IndexFunc(attrs, func(a state.Attribute) bool { return a.Name == name }); i >= 0 {
		return &attrs[i]
	}
	return nil
}

// unset says whether a value is what a field has that nobody set.
func unset(v json.RawMessage) bool {
	switch string(v) {
	case "", "null", `""`, "0", "false", "[]", "{}":
		return true
	}
	return false
}

// str is a JSON string's value; empty for anything else.
func str(v json.RawMessage) string {
	if len(v) == 0 || v[0] != '"' {
		return ""
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}
