package desired

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/opdbus/opdbus/state"
)

// A member is a value of a JSON document, with where it stands.
type member struct {
	name    string
	at, end int // bytes
	value   any // string, json.Number, bool, nil, []member or object
}

// An object is a JSON object's members, in their order.
type object []member

func (o object) has(name string) bool {
	return slices.ContainsFunc(o, func(m member) bool { return m.name == name })
}

// A stateDocument is a JSON document that is translated, with what is wrong with it.
type stateDocument struct {
	name  string
	src   []byte
	diags state.Diagnostics
}

// read reads the document.
func (d *stateDocument) read() (root member, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(d.src))
	dec.UseNumber()
	root, err := d.next(dec, 0)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the end of the document")
		}
	}
	if err != nil {
		at := int(dec.InputOffset())
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = max(0, int(syntax.Offset)-1)
		}
		d.errorf(member{at: at, end: at}, "Invalid JSON", "It cannot be read: %s.", err)
	}
	return root, err == nil
}

// maxDepth bounds how deeply a document nests.
const maxDepth = 100

func (d *stateDocument) next(dec *json.Decoder, depth int) (m member, err error) {
	if depth > maxDepth {
		return m, errors.New("it nests too deeply")
	}
	from := int(dec.InputOffset())
	for from < len(d.src) && bytes.IndexByte([]byte(" \t\r\n,:"), d.src[from]) >= 0 {
		from++
	}
	m.at = from
	token, err := dec.Token()
	if err != nil {
		return m, err
	}
	switch token {
	case json.Delim('{'):
		all := object{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return m, err
			}
			of, err := d.next(dec, depth+1)
			if err != nil {
				return m, err
			}
			of.name = key.(string)
			all = append(all, of)
		}
		m.value = all
	case json.Delim('['):
		all := []member{}
		for dec.More() {
			of, err := d.next(dec, depth+1)
			if err != nil {
				return m, err
			}
			all = append(all, of)
		}
		m.value = all
	default:
		m.value, m.end = token, int(dec.InputOffset())
		return m, nil
	}
	_, err = dec.Token() // the closing bracket
	m.end = min(int(dec.InputOffset()), m.at+1)
	return m, err
}

// place is where a member stands.
func (d *stateDocument) place(m member) state.Range {
	from, to := min(m.at, len(d.src)), min(max(m.end, m.at), len(d.src))
	position := func(at int) (line, column int) {
		before := d.src[:at]
		return 1 + bytes.Count(before, []byte("\n")), at - bytes.LastIndexByte(before, '\n')
	}
	r := state.Range{File: d.name, Byte: from, EndByte: to}
	r.Line, r.Column = position(from)
	r.EndLine, r.EndColumn = position(to)
	return r
}

func (d *stateDocument) errorf(at member, summary, detail string, args ...any) {
	d.diags.Errorf(d.place(at), summary, detail, args...)
}

func (d *stateDocument) warnf(at member, summary, detail string, args ...any) {
	d.diags = append(d.diags, state.Diagnostic{Severity: state.Warning, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: d.place(at)})
}

// Files are for excerpts.
func (d *stateDocument) files() *Files {
	f := newFiles("")
	f.shown = map[string]bool{d.name: true}
	f.add(d.name, &hcl.File{Bytes: d.src})
	return f
}

// fields gives each member of an object to who knows it; one that nobody knows is a mistake, and so is one that is there twice.
func (d *stateDocument) fields(m member, what string, known map[string]func(member)) {
	all, is := m.value.(object)
	if !is {
		d.errorf(m, "Incorrect type", "%s has to be an object.", what)
		return
	}
	seen := map[string]bool{}
	for _, f := range all {
		do, is := known[f.name]
		switch {
		case !is:
			names := sortedKeys(known)
			d.errorf(f, "Unsupported member", "%s has no member %q.%s", what, f.name, cmp.Or(didYouMean(f.name, names), fmt.Sprintf(" It has %q.", names)))
		case seen[f.name]:
			d.errorf(f, "Duplicate member", "%q is there twice.", f.name)
		case f.value != nil:
			do(f)
		}
		seen[f.name] = true
	}
}

// text reads a string into a place, within the values that are allowed, if any.
func (d *stateDocument) text(to *string, allowed ...string) func(member) {
	return func(m member) {
		s, is := m.value.(string)
		switch {
		case !is:
			d.errorf(m, "Incorrect type", "%q has to be a string.", m.name)
		case len(allowed) > 0 && !slices.Contains(allowed, s):
			d.errorf(m, "Unknown "+m.name, "%q is none of %q.%s", s, allowed, didYouMean(s, allowed))
		default:
			*to = s
		}
	}
}

func (d *stateDocument) truth(to **bool) func(member) {
	return func(m member) {
		b, is := m.value.(bool)
		if !is {
			d.errorf(m, "Incorrect type", "%q has to be true or false.", m.name)
			return
		}
		*to = &b
	}
}

func (d *stateDocument) number(to **int) func(member) {
	return func(m member) {
		n, is := m.value.(json.Number)
		i, err := n.Int64()
		if !is || err != nil {
			d.errorf(m, "Incorrect type", "%q has to be a whole number.", m.name)
			return
		}
		of := int(i)
		*to = &of
	}
}

// each gives a list's members.
func (d *stateDocument) each(do func(member)) func(member) {
	return func(m member) {
		all, is := m.value.([]member)
		if !is {
			d.errorf(m, "Incorrect type", "%q has to be a list.", m.name)
			return
		}
		for _, e := range all {
			do(e)
		}
	}
}

func (d *stateDocument) ignore(member) {}
