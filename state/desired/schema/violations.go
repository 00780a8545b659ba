package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Violation is one thing that a schema does not allow.
type Violation struct {
	Path []string // names and indices that lead to it; empty for the whole value
	Text string   // goes on from "it": "must be true". Of the value, only names of properties are in it

	reasons []string // of schemas one of which must hold: what is wrong with them
}

// Violations says all that the schema does not allow in a value of JSON types, whose whole numbers may be of any Go type.
// Where one of several schemas must hold and none does, it names the first thing wrong by each.
func (s *Schema) Violations(value any) []Violation {
	var all []Violation
	seen := map[string]bool{}
	for _, v := range s.explain(s.root, value) {
		if len(v.reasons) > 0 {
			v.Text += ": " + strings.Join(v.reasons, ", or ")
		}
		if key := strings.Join(append(v.Path, v.Text), "\x00"); !seen[key] {
			seen[key] = true
			all = append(all, v)
		}
	}
	return all
}

// explain says what one schema does not allow in a value. Whether there is anything is the library's to say.
func (s *Schema) explain(one *jsonschema.Schema, value any) []Violation {
	if s.holds(one, value) {
		return nil
	}
	found := s.combined(one, value)
	for _, a := range assertions(one) {
		if !a.allows(value) {
			found = append(found, Violation{Text: a.text})
		}
	}
	switch v := value.(type) {
	case map[string]any:
		found = append(found, s.object(one, v)...)
	case []any:
		found = append(found, s.array(one, v)...)
	}
	if len(found) == 0 { // as with unevaluatedItems, which is not taken apart
		found = []Violation{{Text: "has something that no part of the schema allows"}}
	}
	return found
}

// holds asks the library about a schema in the document.
func (s *Schema) holds(one *jsonschema.Schema, value any) bool {
	r, err := s.resolved(one)
	if err != nil {
		panic(fmt.Sprintf("schema: a part of a schema that is in order is not: %v", err))
	}
	return r.Validate(value) == nil
}

func (s *Schema) resolved(one *jsonschema.Schema) (*jsonschema.Resolved, error) {
	if r, ok := s.ready[one]; ok {
		return r, nil
	}
	r, err := s.resolve(one.CloneSchemas())
	if err == nil {
		s.ready[one] = r
	}
	return r, err
}

// resolve prepares a copy of a part of the document for use, with the document beside it for its references.
func (s *Schema) resolve(part *jsonschema.Schema) (*jsonschema.Resolved, error) {
	part.ID, part.Schema = "", draft
	part.Defs, part.Definitions = map[string]*jsonschema.Schema{"document": s.root}, nil
	return part.Resolve(&jsonschema.ResolveOptions{BaseURI: home + "/part"})
}

// combined are the violations of the schemas that must hold for the same value.
func (s *Schema) combined(one *jsonschema.Schema, value any) (found []Violation) {
	for _, sub := range s.applied(one, value) {
		found = append(found, s.explain(sub, value)...)
	}
	if one.AnyOf != nil && s.count(one.AnyOf, value) == 0 {
		found = append(found, s.none("anyOf", one.AnyOf, value))
	}
	if one.OneOf != nil {
		switch n := s.count(one.OneOf, value); n {
		case 0:
			found = append(found, s.none("oneOf", one.OneOf, value))
		case 1:
		default:
			found = append(found, Violation{Text: fmt.Sprintf("satisfies %d schemas of oneOf", n)})
		}
	}
	if one.Not != nil && s.holds(one.Not, value) {
		text := "must not be as it is"
		if isFalse(one) {
			text = "is not allowed"
		}
		found = append(found, Violation{Text: text})
	}
	return found
}

// applied are the schemas that must all hold for the same value.
func (s *Schema) applied(one *jsonschema.Schema, value any) []*jsonschema.Schema {
	all := slices.Clone(one.AllOf)
	if to := s.targets[one]; to != nil {
		all = append(all, to)
	}
	if one.If != nil {
		next := one.Else
		if s.holds(one.If, value) {
			next = one.Then
		}
		if next != nil {
			all = append(all, next)
		}
	}
	if members, ok := value.(map[string]any); ok {
		for _, name := range sorted(one.DependentSchemas) {
			if _, ok := members[name]; ok {
				all = append(all, one.DependentSchemas[name])
			}
		}
	}
	return all
}

// count says how many of the schemas allow a value.
func (s *Schema) count(of []*jsonschema.Schema, value any) (n int) {
	for _, one := range of {
		if s.holds(one, value) {
			n++
		}
	}
	return n
}

// none is the violation of schemas of which none holds.
func (s *Schema) none(keyword string, of []*jsonschema.Schema, value any) Violation {
	const readable = 3
	v := Violation{Text: "satisfies no schema of " + keyword}
	for _, one := range of[:min(len(of), readable)] {
		first := s.explain(one, value)[0]
		// What is deeper is not named, nor its reasons, so that the text tells no names from inside of what is sensitive.
		subject := "it"
		switch len(first.Path) {
		case 0:
		case 1:
			subject = first.Path[0]
		default:
			subject = "something in " + first.Path[0]
		}
		v.reasons = append(v.reasons, subject+" "+first.Text)
	}
	return v
}
