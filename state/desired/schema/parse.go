// Package schema holds a value against a JSON Schema 2020-12 and says all that the schema does not allow, each with the
// place in the value. google/jsonschema-go judges, but stops at what it finds first; this package asks it about the parts
// of a value and the parts of a schema one by one. A schema cannot refer to another document. It imports no other package
// of opdbus.
package schema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

const (
	draft = "https://json-schema.org/draft/2020-12/schema"

	// home is where a schema without an $id is said to be, and what it is read against, as references must be absolute.
	home = "opdbus:///schema"

	// maxDepth is how deep the text may nest, as reading it takes time that grows with the square of it.
	maxDepth = 500
)

// A Schema is a JSON Schema that was read and whose references are all inside it.
type Schema struct {
	root    *jsonschema.Schema
	base    *url.URL                                    // what references are relative to
	places  map[string]*jsonschema.Schema               // by fragment: JSON pointers and anchors
	targets map[*jsonschema.Schema]*jsonschema.Schema   // what each $ref refers to
	ready   map[*jsonschema.Schema]*jsonschema.Resolved // those that were asked about a value
}

// Parse reads a schema. What it does not understand is an error: another draft, an $id below the root, a reference out of
// the document, or one that comes back to itself without going into the value.
func Parse(src []byte) (*Schema, error) {
	s := &Schema{
		root:    new(jsonschema.Schema),
		places:  map[string]*jsonschema.Schema{},
		targets: map[*jsonschema.Schema]*jsonschema.Schema{},
		ready:   map[*jsonschema.Schema]*jsonschema.Resolved{},
	}
	if err := bounded(src); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(src, s.root); err != nil {
		return nil, readable(err)
	}
	if d := strings.TrimSuffix(s.root.Schema, "#"); d != "" && d != draft {
		return nil, fmt.Errorf("its $schema is %s, and only 2020-12 is known", s.root.Schema)
	}
	s.root.Schema = draft
	base, err := url.Parse(home)
	if err == nil {
		base, err = base.Parse(s.root.ID)
	}
	if err != nil {
		return nil, err
	}
	s.base, s.root.ID = base, base.String()
	if err := s.enter("", s.root); err != nil {
		return nil, err
	}
	if err := s.settleReferences(); err != nil {
		return nil, err
	}
	if err := s.noLoop(); err != nil {
		return nil, err
	}
	if _, err := s.resolved(s.root); err != nil {
		return nil, err
	}
	return s, nil
}

// bounded refuses what nests too deeply, and null, which would be read as false.
func bounded(src []byte) error {
	d := json.NewDecoder(bytes.NewReader(src))
	for depth := 0; ; {
		token, err := d.Token()
		switch {
		case err != nil: // which is told when all is read
			return nil
		case token == nil && depth == 0:
			return errors.New("a schema cannot be null")
		case token == json.Delim('{'), token == json.Delim('['):
			depth++
		case token == json.Delim('}'), token == json.Delim(']'):
			depth--
		}
		if depth > maxDepth {
			return errors.New("it nests too deeply")
		}
	}
}

// readable is an error of encoding/json in the words of JSON.
func readable(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	field := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
	if field == "" {
		return fmt.Errorf("a schema cannot be of type %s", wrong.Value)
	}
	return fmt.Errorf("%s cannot be of type %s", field, wrong.Value)
}

// enter checks a schema by itself, notes where it is, and does the same for those in it.
func (s *Schema) enter(place string, one *jsonschema.Schema) error {
	at := cmp.Or(place, "the schema")
	if one == nil {
		return fmt.Errorf("%s is null", at)
	}
	if i := slices.IndexFunc(types(one), unknownType); i >= 0 {
		return fmt.Errorf("%s: there is no type %q", at, types(one)[i])
	}
	switch {
	case one.ID != "" && place != "":
		return fmt.Errorf("%s: an $id can only be at the root", at)
	case one.ItemsArray != nil:
		return fmt.Errorf("%s: items cannot be a list; since 2020-12, that is prefixItems", at)
	}
	for _, pattern := range append(sorted(one.PatternProperties), one.Pattern) {
		if _, err := regexp.Compile(pattern); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	s.places[place] = one
	for _, anchor := range []string{one.Anchor, one.DynamicAnchor} {
		if anchor != "" {
			s.places[anchor] = one
		}
	}
	for keyword, sub := range subschemas(one) {
		if err := s.enter(place+"/"+keyword, sub); err != nil {
			return err
		}
	}
	return nil
}
