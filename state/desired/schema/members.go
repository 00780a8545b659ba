package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
)

// object are the violations of what is said of an object's members.
func (s *Schema) object(one *jsonschema.Schema, members map[string]any) (found []Violation) {
	for _, name := range one.Required {
		if _, ok := members[name]; !ok {
			found = append(found, Violation{Text: fmt.Sprintf("must have %q", name)})
		}
	}
	for _, name := range sorted(one.DependentRequired) {
		if _, ok := members[name]; !ok {
			continue
		}
		for _, needed := range one.DependentRequired[name] {
			if _, ok := members[needed]; !ok {
				found = append(found, Violation{Text: fmt.Sprintf("must have %q, as it has %q", needed, name)})
			}
		}
	}
	right := maps.Clone(members)
	for _, name := range sorted(members) {
		var wrong []Violation
		if one.PropertyNames != nil {
			for _, v := range s.explain(one.PropertyNames, name) {
				v.Text = "has a name that " + v.Text
				wrong = append(wrong, v)
			}
		}
		for _, sub := range forMember(one, name) {
			wrong = append(wrong, s.explain(sub, members[name])...)
		}
		if len(wrong) > 0 {
			delete(right, name)
			found = append(found, under(name, wrong)...)
		}
	}
	return append(found, s.unevaluated(one, right)...)
}

// forMember are the schemas that an object's schema has for one member.
func forMember(one *jsonschema.Schema, name string) (all []*jsonschema.Schema) {
	if sub, ok := one.Properties[name]; ok {
		all = append(all, sub)
	}
	for _, pattern := range sorted(one.PatternProperties) {
		if ok, _ := regexp.MatchString(pattern, name); ok {
			all = append(all, one.PatternProperties[pattern])
		}
	}
	if len(all) == 0 && one.AdditionalProperties != nil {
		all = append(all, one.AdditionalProperties)
	}
	return all
}

// unevaluated are the violations of unevaluatedProperties by the members that are right otherwise. When other things are
// wrong, it may not be known whether a member was evaluated, and then nothing is said of it.
func (s *Schema) unevaluated(one *jsonschema.Schema, members map[string]any) (found []Violation) {
	if one.UnevaluatedProperties == nil {
		return nil
	}
	without := one.CloneSchemas()
	without.UnevaluatedProperties = nil
	without.Required, without.DependentRequired, without.MinProperties, without.MaxProperties = nil, nil, nil, nil
	if !s.copyHolds(without, members) {
		return nil
	}
	for _, name := range sorted(members) {
		wrong := s.explain(one.UnevaluatedProperties, members[name])
		if len(wrong) == 0 {
			continue
		}
		others := without.CloneSchemas()
		others.UnevaluatedProperties = one.UnevaluatedProperties.CloneSchemas()
		others.Properties = maps.Clone(others.Properties)
		if others.Properties == nil {
			others.Properties = map[string]*jsonschema.Schema{}
		}
		for other := range members { // the others are evaluated
			if other != name && others.Properties[other] == nil {
				others.Properties[other] = &jsonschema.Schema{}
			}
		}
		if !s.copyHolds(others, members) {
			found = append(found, under(name, wrong)...)
		}
	}
	return found
}

// copyHolds asks the library about a schema that is not in the document.
func (s *Schema) copyHolds(part *jsonschema.Schema, value any) bool {
	r, err := s.resolve(part)
	return err == nil && r.Validate(value) == nil
}

// array are the violations of what is said of an array's elements.
func (s *Schema) array(one *jsonschema.Schema, elements []any) (found []Violation) {
	for i, element := range elements {
		sub := one.Items
		if i < len(one.PrefixItems) {
			sub = one.PrefixItems[i]
		}
		if sub != nil {
			found = append(found, under(strconv.Itoa(i), s.explain(sub, element))...)
		}
	}
	if one.Contains == nil {
		return found
	}
	n := 0
	for _, element := range elements {
		if s.holds(one.Contains, element) {
			n++
		}
	}
	least := 1
	if one.MinContains != nil {
		least = *one.MinContains
	}
	switch {
	case n < least:
		found = append(found, Violation{Text: fmt.Sprintf("must have %d of the elements in contains, and has %d", least, n)})
	case one.MaxContains != nil && n > *one.MaxContains:
		found = append(found, Violation{Text: fmt.Sprintf("must not have more than %d of the elements in contains, and has %d", *one.MaxContains, n)})
	}
	return found
}

// under are violations seen from one level further out.
func under(name string, violations []Violation) []Violation {
	for i := range violations {
		violations[i].Path = slices.Concat([]string{name}, violations[i].Path)
	}
	return violations
}
