package desired

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired/schema"
)

// checkSchema holds a plugin's block against NAME.schema.json in its source, when there is one. The value that it must
// satisfy is {KIND: {KEY: {ATTRIBUTE: VALUE}}} with the block's own attributes beside the kinds.
func (l *loader) checkSchema(in *instance) {
	n := in.of
	source := n.catalogue.self.attr("source")
	if n.typ != state.PluginNode || in.source == "" || source == nil {
		return
	}
	name := n.name + ".schema.json"
	path := filepath.Join(in.source, name)
	at := in.node.Attr("source")
	resolved, known, err := l.inside(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var src []byte
	if err == nil {
		src, err = l.readFile(resolved)
	}
	if err == nil {
		l.digest.file(known, fmt.Sprintf("%x", sha256.Sum256(src)))
	}
	var sch *schema.Schema
	if err == nil {
		sch, err = schema.Parse(src)
	}
	if err != nil {
		l.diags.Errorf(at, "Invalid schema", "cannot use %s: %s.", path, err)
		return
	}
	for _, v := range sch.Violations(in.document()) {
		l.schemaViolated(in, name, v)
	}
}

// document is the block's value as the schema sees it.
func (in *instance) document() map[string]any {
	doc := map[string]any{}
	own := in.of.catalogue.self
	self := reflect.ValueOf(in.node.Self)
	for i := range own.attrs {
		if a := &own.attrs[i]; a.name != "source" && a.name != "version" {
			put(doc, a.name, self.Field(a.index), in.of.content.attr(a.name) != nil)
		}
	}
	for i := range in.node.Objects {
		d := &in.node.Objects[i]
		kind, ok := doc[d.Addr.Kind].(map[string]any)
		if !ok {
			kind = map[string]any{}
			doc[d.Addr.Kind] = kind
		}
		kind[d.Addr.Key] = structDocument(in.of.catalogue.kinds[d.Addr.Kind].shape, reflect.ValueOf(d.Object), d)
	}
	return doc
}

func structDocument(s *shape, v reflect.Value, d *state.Declared) map[string]any {
	doc := map[string]any{}
	for i := range s.attrs {
		a := &s.attrs[i]
		if !a.raw {
			put(doc, a.name, v.Field(a.index), d != nil && d.Attr(a.name) != d.Source)
		}
	}
	for _, b := range s.blocks {
		if list := blockDocuments(b, v.Field(b.index)); list != nil {
			doc[b.name] = list
		}
	}
	return doc
}

// put adds an attribute unless it is not set.
func put(doc map[string]any, name string, v reflect.Value, set bool) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.IsZero() && !set {
		return
	}
	doc[name] = document(v)
}

// document is a value as encoding/json would read it.
func document(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = document(v.Index(i))
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = document(it.Value())
		}
		return m
	case reflect.Interface:
		return v.Interface()
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int64:
		return v.Int()
	}
	return v.Interface()
}

// blockDocuments is labelled blocks by label, others in a list, and a single block as itself.
func blockDocuments(b blockField, field reflect.Value) any {
	switch field.Kind() {
	case reflect.Pointer:
		if field.IsNil() {
			return nil
		}
		return structDocument(b.shape, field.Elem(), nil)
	case reflect.Struct:
		return structDocument(b.shape, field, nil)
	}
	if field.Len() == 0 {
		return nil
	}
	if len(b.shape.labels) == 0 {
		list := []any{}
		for i := range field.Len() {
			list = append(list, structDocument(b.shape, field.Index(i), nil))
		}
		return list
	}
	byLabel := map[string]any{}
	for i := range field.Len() {
		elem := field.Index(i)
		byLabel[elem.Field(b.shape.labels[0].index).String()] = structDocument(b.shape, elem, nil)
	}
	return byLabel
}

// schemaViolated reports one thing that the schema does not allow, at the nearest place in the configuration.
func (l *loader) schemaViolated(in *instance, name string, v schema.Violation) {
	path, text := v.Path, "it "+v.Text
	if in.isSecret(path) {
		path, text = path[:3], "its value, which is sensitive, is not allowed"
	}
	where := "The block"
	if len(path) > 0 {
		where = strings.Join(path, ".")
	}
	l.diags.Errorf(in.nearest(path), "Schema violated", "%s does not satisfy %s: %s.", where, name, text)
}

// nearest is the place of what a location in the document speaks of.
func (in *instance) nearest(location []string) state.Range {
	if len(location) == 0 {
		return in.node.Source
	}
	if d := in.objectAt(location); d != nil {
		if len(location) >= 3 {
			return d.Attr(location[2])
		}
		return d.Source
	}
	return in.node.Attr(location[0])
}

// objectAt is the object that a location in the document is in; nil when it is in none.
func (in *instance) objectAt(location []string) *state.Declared {
	if len(location) < 2 {
		return nil
	}
	i := slices.IndexFunc(in.node.Objects, func(d state.Declared) bool {
		return d.Addr.Kind == location[0] && d.Addr.Key == location[1]
	})
	if i < 0 {
		return nil
	}
	return &in.node.Objects[i]
}

// isSecret says whether a location is in a sensitive value, whose names and length are nobody's business.
func (in *instance) isSecret(location []string) bool {
	d := in.objectAt(location)
	return d != nil && len(location) > 2 && slices.Contains(d.Sensitive, location[2])
}
