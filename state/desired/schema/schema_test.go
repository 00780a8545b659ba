package schema_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opdbus/opdbus/state/desired/schema"
	oracle "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// said prints all violations, one a line.
func said(t require.TestingT, src, value string) string {
	s, err := schema.Parse([]byte(src))
	require.NoError(t, err, src)
	var v any
	require.NoError(t, json.Unmarshal([]byte(value), &v))
	var lines []string
	for _, violation := range s.Violations(v) {
		lines = append(lines, strings.Join(violation.Path, ".")+": "+violation.Text)
	}
	return strings.Join(lines, "\n")
}

func TestViolations(t *testing.T) {
	for _, c := range []struct{ name, schema, value, want string }{
		{"nothing is wrong with what is allowed",
			`{"type": "object", "properties": {"a": {"type": "integer"}}}`, `{"a": 1, "b": 2}`, ``},
		{"all are told, each at its place",
			`{"required": ["a", "z"], "properties": {"a": {"type": "string", "enum": ["<x>", null]}, "b": {"properties": {"c": {"const": 7}}}},
			  "patternProperties": {"^b": {"maxProperties": 0}}, "additionalProperties": false}`,
			`{"a": 1, "b": {"c": 8}, "d": 1}`,
			`: must have "z"
a: must be of type string
a: must be one of "<x>", null
b.c: must be 7
b: must not have more properties than 0
d: is not allowed`},
		{"numbers, strings and lists",
			`{"properties": {
			  "n": {"minimum": 3, "exclusiveMinimum": 2.5, "multipleOf": 7}, "m": {"maximum": 3, "exclusiveMaximum": 1000000},
			  "s": {"minLength": 3, "pattern": "^x"}, "r": {"maxLength": 1},
			  "l": {"minItems": 4, "uniqueItems": true, "prefixItems": [{"type": ["string", "null"]}], "items": {"minimum": 2}, "contains": {"const": 9}},
			  "k": {"maxItems": 1, "minProperties": 1, "contains": true, "maxContains": 1}, "o": {"minProperties": 1}}}`,
			`{"n": 1, "m": 1000000, "s": "ab", "r": "ab", "l": [0, 1, 1], "k": [1, 2], "o": {}}`,
			`k: must not have more elements than 1
k: must not have more than 1 of the elements in contains, and has 2
l: must not have the same element twice
l: must not have fewer elements than 4
l.0: must be of type string or null
l.1: must be at least 2
l.2: must be at least 2
l: must have 1 of the elements in contains, and has 0
m: must be at most 3
m: must be less than 1000000
n: must be a multiple of 7
n: must be at least 3
n: must be more than 2.5
o: must not have fewer properties than 1
r: must have a length of at most 1
s: must match the pattern ^x
s: must have a length of at least 3`},
		{"references, conditions and dependencies are followed",
			`{"$id": "https://example.com/s.json", "$defs": {"port": {"$anchor": "port", "maximum": 9}, "tree": {"$dynamicAnchor": "tree", "properties": {"leaf": {"type": "string"}}, "additionalProperties": {"$dynamicRef": "#tree"}}},
			  "properties": {"p": {"$ref": "#/$defs/port"}, "q": {"$ref": "s.json#port"}, "t": {"$ref": "#/$defs/tree"}, "again": {"$ref": "#"}},
			  "if": {"required": ["p"]}, "then": {"required": ["x"]}, "else": {"required": ["y"]},
			  "dependentRequired": {"q": ["r"]}, "dependentSchemas": {"t": {"properties": {"p": {"minimum": 99}}}}, "allOf": [{"required": ["w"]}]}`,
			`{"p": 10, "q": 11, "t": {"u": {"leaf": 1}}, "again": {"w": 1}}`,
			`: must have "w"
: must have "x"
p: must be at least 99
: must have "r", as it has "q"
again: must have "y"
p: must be at most 9
q: must be at most 9
t.u.leaf: must be of type string`},
		{"alternatives are told with what is wrong with each",
			`{"properties": {"a": {"anyOf": [{"type": "string"}, {"required": ["x"]}, {"properties": {"x": true, "k": {"const": 1}}, "required": ["k"]}, false]},
			  "b": {"oneOf": [{"minimum": 1}, {"minimum": 2}]}, "c": {"not": {"const": 1}},
			  "d": {"oneOf": [{"properties": {"e": {"anyOf": [{"properties": {"secret": false}}]}}}]}}}`,
			`{"a": {"k": 2}, "b": 3, "c": 1, "d": {"e": {"secret": 1}}}`,
			`a: satisfies no schema of anyOf: it must be of type string, or it must have "x", or k must be 1
b: satisfies 2 schemas of oneOf
c: must not be as it is
d: satisfies no schema of oneOf: e satisfies no schema of anyOf`},
		{"names of properties",
			`{"propertyNames": {"pattern": "^[a-z]$"}}`, `{"A": 1, "b": 2, "CC": 3}`,
			`A: has a name that must match the pattern ^[a-z]$
CC: has a name that must match the pattern ^[a-z]$`},
		{"each of what was not evaluated, beside what is wrong",
			`{"allOf": [{"properties": {"a": {"type": "string"}}}], "properties": {"b": {"type": "string"}}, "required": ["r"], "unevaluatedProperties": {"const": 5}}`,
			`{"a": "x", "b": 1, "c": 1, "d": 5, "e": 2}`,
			`: must have "r"
b: must be of type string
c: must be 5
e: must be 5`},
		{"elements that were not evaluated",
			`{"properties": {"l": {"prefixItems": [true], "unevaluatedItems": false}}}`, `{"l": [1, 2]}`,
			`l: has something that no part of the schema allows`},
		{"what is false allows nothing", `false`, `{}`, `: is not allowed`},
		{"the same is told once", `{"allOf": [{"required": ["a"]}, {"required": ["a"]}]}`, `{}`, `: must have "a"`},
		{"unknown keywords and formats are no rules", `{"frobnicate": 1, "format": "date"}`, `"x"`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, said(t, c.schema, c.value))
		})
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"no JSON", `{"type": `, `unexpected end of JSON input`},
		{"more than JSON", `{} {}`, `invalid character '{' after top-level value`},
		{"no schema", `[]`, `a schema cannot be of type array`},
		{"nothing", `null`, `a schema cannot be null`},
		{"nothing inside", `{"properties": {"a": null}}`, `/properties/a is null`},
		{"a keyword of the wrong type", `{"properties": {"a": {"minimum": "1"}}}`, `minimum cannot be of type string`},
		{"a type that is none", `{"properties": {"a/b": {"type": "strng"}}}`, `/properties/a~1b: there is no type "strng"`},
		{"a pattern that is none", `{"patternProperties": {"(": true}}`, "the schema: error parsing regexp: missing closing ): `(`"},
		{"another draft", `{"$schema": "http://json-schema.org/draft-04/schema#"}`, `its $schema is http://json-schema.org/draft-04/schema#, and only 2020-12 is known`},
		{"items as they were", `{"items": [true]}`, `the schema: items cannot be a list; since 2020-12, that is prefixItems`},
		{"an $id inside", `{"$defs": {"a": {"$id": "b"}}}`, `/$defs/a: an $id can only be at the root`},
		{"a file", `{"items": {"$ref": "file:///etc/passwd"}}`, `a schema cannot refer to another document (file:///etc/passwd)`},
		{"a file beside it", `{"items": {"$ref": "other.json"}}`, `a schema cannot refer to another document (other.json)`},
		{"what is not there", `{"$dynamicRef": "#a"}`, `it refers to #a, which is not there`},
		{"itself", `{"$ref": "#"}`, `the schema comes back to itself without going into the value`},
		{"itself by detours", `{"$defs": {"a": {"anyOf": [true, {"$ref": "#/$defs/b"}]}, "b": {"dependentSchemas": {"x": {"if": {"$dynamicRef": "#/$defs/a"}}}}}}`,
			`/$defs/a comes back to itself without going into the value`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := schema.Parse([]byte(c.schema))
			assert.EqualError(t, err, c.want)
		})
	}

	t.Run("what nests too deeply", func(t *testing.T) {
		_, err := schema.Parse([]byte(strings.Repeat(`{"not":`, 500) + "true" + strings.Repeat("}", 500)))
		assert.NoError(t, err)
		_, err = schema.Parse([]byte(strings.Repeat(`{"not":`, 501)))
		assert.EqualError(t, err, "it nests too deeply")
	})
}

// words are what a generated schema is made of. Without all, they are those where both implementations go on after an error.
type words struct{ all bool }

func (w words) schema(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if depth == 0 || rapid.IntRange(0, 9).Draw(t, "bool") == 0 {
			return rapid.SampledFrom([]any{true, true, false, map[string]any{"type": "integer"}, map[string]any{"$ref": "#/$defs/d"}}).Draw(t, "leaf")
		}
		sub := func(label string) any { return w.schema(depth-1).Draw(t, label) }
		some := func(label string) any { return rapid.SliceOfN(w.schema(depth-1), 1, 3).Draw(t, label) }
		named := func(label string) any {
			return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), w.schema(depth-1), 1, 3).Draw(t, label)
		}
		keywords := map[string]func() any{
			"minimum":           func() any { return rapid.IntRange(0, 2).Draw(t, "minimum") },
			"maxLength":         func() any { return rapid.IntRange(0, 1).Draw(t, "maxLength") },
			"minItems":          func() any { return rapid.IntRange(0, 2).Draw(t, "minItems") },
			"required":          func() any { return []string{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "required")} },
			"properties":        func() any { return named("properties") },
			"patternProperties": func() any { return named("patternProperties") },
			"dependentSchemas":  func() any { return named("dependentSchemas") },
			"items":             func() any { return sub("items") },
			"prefixItems":       func() any { return some("prefixItems") },
			"allOf":             func() any { return some("allOf") },
		}
		if w.all {
			keywords["type"] = func() any { return rapid.SampledFrom([]string{"object", "array", "string", "integer"}).Draw(t, "type") }
			keywords["const"] = func() any { return value(0).Draw(t, "const") }
			keywords["additionalProperties"] = func() any { return sub("additionalProperties") }
			keywords["unevaluatedProperties"] = func() any { return sub("unevaluatedProperties") }
			keywords["propertyNames"] = func() any { return sub("propertyNames") }
			keywords["dependentRequired"] = func() any { return map[string]any{"a": []string{"b"}} }
			keywords["anyOf"] = func() any { return some("anyOf") }
			keywords["oneOf"] = func() any { return some("oneOf") }
			keywords["not"] = func() any { return sub("not") }
			keywords["if"] = func() any { return sub("if") }
			keywords["then"] = func() any { return sub("then") }
			keywords["else"] = func() any { return sub("else") }
			keywords["contains"] = func() any { return sub("contains") }
			keywords["uniqueItems"] = func() any { return true }
			keywords["unevaluatedItems"] = func() any { return sub("unevaluatedItems") }
		}
		names := make([]string, 0, len(keywords))
		for name := range keywords {
			names = append(names, name)
		}
		slices.Sort(names)
		one := map[string]any{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(t, "keywords") {
			one[name] = keywords[name]()
		}
		return one
	})
}

func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if depth > 0 {
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "array")
			case 1, 2:
				return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), value(depth-1), 0, 4).Draw(t, "object")
			}
		}
		return rapid.SampledFrom([]any{0.0, 1.0, 2.5, "", "a", "ab", true, nil}).Draw(t, "scalar")
	})
}

// generated is a schema, whose references are all to one that refers to none, and a value for it.
func generated(t *rapid.T, w words) (src string, v any, judged error) {
	doc := map[string]any{
		"$defs": map[string]any{"d": map[string]any{"type": []any{"integer", "object"}, "properties": map[string]any{"a": map[string]any{"minimum": 1}}}},
		"allOf": []any{w.schema(3).Draw(t, "schema")},
	}
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	var parsed any
	require.NoError(t, json.Unmarshal(text, &parsed))
	c := oracle.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", parsed))
	other, err := c.Compile("schema.json")
	require.NoError(t, err)
	v = value(3).Draw(t, "value")
	return string(text), v, other.Validate(v)
}

func TestAgainstAnotherImplementation(t *testing.T) {
	t.Run("agrees on what is allowed", rapid.MakeCheck(func(t *rapid.T) {
		src, v, judged := generated(t, words{all: true})
		s, err := schema.Parse([]byte(src))
		require.NoError(t, err)
		assert.Equal(t, judged == nil, len(s.Violations(v)) == 0, "%s\n%v\n%v", src, v, judged)
	}))
	t.Run("agrees on the places of all that is wrong", rapid.MakeCheck(func(t *rapid.T) {
		src, v, judged := generated(t, words{})
		s, err := schema.Parse([]byte(src))
		require.NoError(t, err)
		want, got := map[string]bool{}, map[string]bool{}
		if judged != nil {
			places(judged.(*oracle.ValidationError), want)
		}
		for _, violation := range s.Violations(v) {
			got[fmt.Sprint(violation.Path)] = true
		}
		assert.Equal(t, want, got, "%s\n%v\n%v", src, v, judged)
	}))
}

func places(e *oracle.ValidationError, into map[string]bool) {
	if len(e.Causes) == 0 {
		into[fmt.Sprint(e.InstanceLocation)] = true
	}
	for _, c := range e.Causes {
		places(c, into)
	}
}
