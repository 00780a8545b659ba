package desired

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/opdbus/opdbus/state"
)

// A shape is what a struct type's hcl tags say that a block may hold: `hcl:"name,label"`, `hcl:"name"` for a required
// argument, `hcl:"name,optional"` and `hcl:"name,block"`. It is computed once a type, which gohcl does once a call.
type shape struct {
	typ    reflect.Type
	labels []labelField
	attrs  []attrField
	blocks []blockField
	words  *words
}

type labelField struct {
	name  string
	index int
}

type attrField struct {
	name     string
	index    int
	required bool
	raw      bool // an expression that is kept as it is, for who knows how to read it
	names    bool // what it refers to is named, and its value does not matter
	codec    codec
}

type blockField struct {
	name  string
	index int
	shape *shape
}

// shapes remembers the shape of each type. A load has its own.
type shapes map[reflect.Type]*shape

// of computes a type's shape. A type that the language cannot express is a mistake of the program.
func (ss shapes) of(t reflect.Type) *shape {
	if s := ss[t]; s != nil {
		return s
	}
	s := &shape{typ: t}
	ss[t] = s
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("hcl")
		if !ok {
			continue
		}
		name, how, _ := strings.Cut(tag, ",")
		switch how {
		case "label":
			s.labels = append(s.labels, labelField{name, i})
		case "block":
			s.blocks = append(s.blocks, blockField{name, i, ss.of(structIn(f.Type))})
		case "", "optional":
			a := attrField{name: name, index: i, required: how == ""}
			if a.raw = f.Type == reflect.TypeFor[hcl.Expression](); !a.raw {
				a.codec = codecFor(f.Type)
				a.names = f.Type == reflect.TypeFor[state.References]()
			}
			s.attrs = append(s.attrs, a)
		default:
			panic(fmt.Sprintf("%s.%s: unknown hcl tag %q", t, f.Name, tag))
		}
	}
	s.words = wordsOf(s)
	return s
}

// structIn is the struct that a block field holds: itself, behind a pointer, or in a slice.
func structIn(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("a block cannot be held by a %s", t))
	}
	return t
}

// attr finds an argument by name.
func (s *shape) attr(name string) *attrField {
	for i := range s.attrs {
		if s.attrs[i].name == name {
			return &s.attrs[i]
		}
	}
	return nil
}

// isLanguage says whether the type can be written as a block with a key: others are made by their provider.
func (s *shape) isLanguage() bool { return len(s.labels) == 1 }

// words are all that may stand in a body, which for a node is what several shapes allow together.
type words struct {
	attrs    map[string]*attrField
	required []string
	blocks   map[string]*shape
	schema   hcl.BodySchema // for JSON, which cannot be read without
}

func newWords() *words {
	return &words{attrs: map[string]*attrField{}, blocks: map[string]*shape{}}
}

func wordsOf(s *shape) *words {
	w := newWords()
	w.allow(s)
	w.seal()
	return w
}

// allow adds what a shape allows; what is there already stays.
func (w *words) allow(s *shape) {
	for i := range s.attrs {
		a := &s.attrs[i]
		if w.attrs[a.name] != nil {
			continue
		}
		w.attrs[a.name] = a
		if a.required {
			w.required = append(w.required, a.name)
		}
	}
	for _, b := range s.blocks {
		if w.blocks[b.name] == nil {
			w.blocks[b.name] = b.shape
		}
	}
}

// seal makes the schema of what was allowed.
func (w *words) seal() {
	for _, name := range w.attrNames() {
		w.schema.Attributes = append(w.schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, name := range w.blockNames() {
		var labels []string
		for _, l := range w.blocks[name].labels {
			labels = append(labels, l.name)
		}
		w.schema.Blocks = append(w.schema.Blocks, hcl.BlockHeaderSchema{Type: name, LabelNames: labels})
	}
	if len(w.blocks) > 0 {
		w.schema.Blocks = append(w.schema.Blocks, hcl.BlockHeaderSchema{Type: "dynamic", LabelNames: []string{"kind"}})
	}
}

func (w *words) attrNames() []string  { return sortedKeys(w.attrs) }
func (w *words) blockNames() []string { return sortedKeys(w.blocks) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// names are the arguments and the blocks, for what may name either.
func (w *words) names() []string { return append(w.attrNames(), w.blockNames()...) }
