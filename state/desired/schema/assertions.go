package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// An assertion is one keyword that has no schemas in it, and what it asks for.
type assertion struct {
	keyword jsonschema.Schema
	text    string
}

// assertions are a schema's keywords that look at no part of a value by itself.
func assertions(one *jsonschema.Schema) []assertion {
	type keyword = jsonschema.Schema
	var all []assertion
	if one.Type != "" || one.Types != nil {
		all = append(all, assertion{keyword{Type: one.Type, Types: one.Types}, "must be of type " + strings.Join(types(one), " or ")})
	}
	if one.Enum != nil {
		values := make([]string, len(one.Enum))
		for i, v := range one.Enum {
			values[i] = text(v)
		}
		all = append(all, assertion{keyword{Enum: one.Enum}, "must be one of " + strings.Join(values, ", ")})
	}
	if one.Const != nil {
		all = append(all, assertion{keyword{Const: one.Const}, "must be " + text(*one.Const)})
	}
	if one.Pattern != "" {
		all = append(all, assertion{keyword{Pattern: one.Pattern}, "must match the pattern " + one.Pattern})
	}
	if one.UniqueItems {
		all = append(all, assertion{keyword{UniqueItems: true}, "must not have the same element twice"})
	}
	all = limit(all, keyword{MultipleOf: one.MultipleOf}, one.MultipleOf, "must be a multiple of %s")
	all = limit(all, keyword{Minimum: one.Minimum}, one.Minimum, "must be at least %s")
	all = limit(all, keyword{Maximum: one.Maximum}, one.Maximum, "must be at most %s")
	all = limit(all, keyword{ExclusiveMinimum: one.ExclusiveMinimum}, one.ExclusiveMinimum, "must be more than %s")
	all = limit(all, keyword{ExclusiveMaximum: one.ExclusiveMaximum}, one.ExclusiveMaximum, "must be less than %s")
	all = limit(all, keyword{MinLength: one.MinLength}, one.MinLength, "must have a length of at least %s")
	all = limit(all, keyword{MaxLength: one.MaxLength}, one.MaxLength, "must have a length of at most %s")
	all = limit(all, keyword{MinItems: one.MinItems}, one.MinItems, "must not have fewer elements than %s")
	all = limit(all, keyword{MaxItems: one.MaxItems}, one.MaxItems, "must not have more elements than %s")
	all = limit(all, keyword{MinProperties: one.MinProperties}, one.MinProperties, "must not have fewer properties than %s")
	all = limit(all, keyword{MaxProperties: one.MaxProperties}, one.MaxProperties, "must not have more properties than %s")
	return all
}

func limit[T any](all []assertion, keyword jsonschema.Schema, bound *T, format string) []assertion {
	if bound == nil {
		return all
	}
	return append(all, assertion{keyword, fmt.Sprintf(format, text(*bound))})
}

// allows asks the library about one keyword.
func (a *assertion) allows(value any) bool {
	r, err := a.keyword.Resolve(nil)
	return err == nil && r.Validate(value) == nil
}

// isFalse says whether a schema is false, which the library reads as {"not": {}}.
func isFalse(one *jsonschema.Schema) bool {
	return one.Not != nil && reflect.ValueOf(*one.Not).IsZero()
}

func types(one *jsonschema.Schema) []string {
	if one.Type != "" {
		return []string{one.Type}
	}
	return one.Types
}

func unknownType(name string) bool {
	return !slices.Contains([]string{"array", "boolean", "integer", "null", "number", "object", "string"}, name)
}

// text is a value of the schema as one would write it there.
func text(value any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
