package schema

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// subschemas are the schemas directly in one, by their JSON pointers from there, in an order that does not change.
func subschemas(one *jsonschema.Schema) iter.Seq2[string, *jsonschema.Schema] {
	return func(yield func(string, *jsonschema.Schema) bool) {
		v := reflect.ValueOf(one).Elem()
		for i := range v.NumField() {
			keyword, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			switch field := v.Field(i).Interface().(type) {
			case *jsonschema.Schema:
				if keyword == "-" { // it may be a list, too, in JSON
					keyword = "items"
				}
				if field != nil && !yield(keyword, field) {
					return
				}
			case []*jsonschema.Schema:
				for i, sub := range field {
					if !yield(keyword+"/"+strconv.Itoa(i), sub) {
						return
					}
				}
			case map[string]*jsonschema.Schema:
				for _, name := range sorted(field) {
					if !yield(keyword+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), field[name]) {
						return
					}
				}
			}
		}
	}
}

// settleReferences finds what each reference refers to and makes it absolute, so that a part of the schema can be used
// away from its place. As there is only one $id, a $dynamicRef is no other than a $ref.
func (s *Schema) settleReferences() error {
	for _, place := range sorted(s.places) {
		one := s.places[place]
		if one.DynamicRef != "" {
			one.AllOf = append(one.AllOf, &jsonschema.Schema{Ref: one.DynamicRef})
			one.DynamicRef = ""
			if err := s.settle(one.AllOf[len(one.AllOf)-1]); err != nil {
				return err
			}
		}
		if err := s.settle(one); err != nil {
			return err
		}
	}
	return nil
}

func (s *Schema) settle(one *jsonschema.Schema) error {
	if one.Ref == "" {
		return nil
	}
	to, err := s.base.Parse(one.Ref)
	if err != nil {
		return fmt.Errorf("cannot read the reference %s: %w", one.Ref, err)
	}
	document := *to
	document.Fragment, document.RawFragment = "", ""
	if document.String() != s.base.String() {
		return fmt.Errorf("a schema cannot refer to another document (%s)", one.Ref)
	}
	target, ok := s.places[to.Fragment]
	if !ok {
		return fmt.Errorf("it refers to %s, which is not there", one.Ref)
	}
	s.targets[one] = target
	one.Ref = to.String()
	return nil
}

// noLoop refuses a schema that comes back to itself without going into the value: holding a value against it never ends.
func (s *Schema) noLoop() error {
	const (
		entered = iota + 1
		left
	)
	seen := map[*jsonschema.Schema]int{}
	var loops func(*jsonschema.Schema) bool
	loops = func(one *jsonschema.Schema) bool {
		if seen[one] != 0 {
			return seen[one] == entered
		}
		seen[one] = entered
		defer func() { seen[one] = left }()
		return slices.ContainsFunc(s.sameValue(one), loops)
	}
	for _, place := range sorted(s.places) {
		if loops(s.places[place]) {
			return fmt.Errorf("%s comes back to itself without going into the value", cmp.Or(place, "the schema"))
		}
	}
	return nil
}

// sameValue are the schemas that one holds against the very value that it is held against itself.
func (s *Schema) sameValue(one *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(one.AllOf, one.AnyOf, one.OneOf, []*jsonschema.Schema{s.targets[one], one.Not, one.If, one.Then, one.Else})
	for _, name := range sorted(one.DependentSchemas) {
		all = append(all, one.DependentSchemas[name])
	}
	return slices.DeleteFunc(all, func(sub *jsonschema.Schema) bool { return sub == nil })
}

func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
