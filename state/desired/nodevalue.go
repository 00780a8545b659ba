package desired

import (
	"path"
	"reflect"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// A nodeValue is what expressions see of a node block.
type nodeValue struct{ value cty.Value }

// value is the node block as expressions see it: its instances by key, or the one. It is made when somebody first refers
// to the node, and holds what references read of it.
func (n *node) value(l *loader) cty.Value {
	if n.failed || len(n.instances) == 0 && n.forEach == nil {
		return failedValue()
	}
	if n.cached != nil {
		return n.cached.value
	}
	n.cached = &nodeValue{}
	if n.forEach == nil {
		n.cached.value = failedValue()
		if n.instances[0].live() {
			n.cached.value = n.instances[0].value(l)
		}
		return n.cached.value
	}
	values := map[string]cty.Value{}
	for _, in := range n.instances {
		if in.live() {
			values[in.addr.Key] = in.value(l)
		}
	}
	n.cached.value = cty.ObjectVal(values)
	return n.cached.value
}

// value is one node as expressions see it.
func (in *instance) value(l *loader) cty.Value {
	n := in.of
	values := map[string]cty.Value{"name": cty.StringVal(n.name)}
	if n.typ == state.StageNode {
		values["path"] = cty.StringVal(path.Join(l.store(), "staging", in.addr.Dir()))
	}
	self := reflect.ValueOf(in.node.Self)
	for i := range n.catalogue.self.attrs {
		a := &n.catalogue.self.attrs[i]
		switch {
		case a.raw:
		case a.name == "source" && in.source != "":
			values[a.name] = cty.StringVal(in.source)
		default:
			values[a.name] = encode(a, self, n.content.attr(a.name) == nil, in.self)
		}
	}
	for kind, k := range n.catalogue.kinds {
		if (n.readsAll || n.reads[kind]) && !n.isOwn(kind) {
			values[kind] = in.objectValues(kind, k)
		}
	}
	return cty.ObjectVal(values)
}

// objectValues is the objects of one kind, by key.
func (in *instance) objectValues(kind string, k *objectKind) cty.Value {
	values := map[string]cty.Value{}
	for i := range in.node.Objects {
		d := &in.node.Objects[i]
		if d.Addr.Kind == kind {
			values[d.Addr.Key] = structValue(k.shape, reflect.ValueOf(d.Object), extras{d.Sensitive, in.extras[i]}, d)
		}
	}
	return cty.ObjectVal(values)
}

// structValue is a struct as an object; what its block does not set is null.
func structValue(s *shape, v reflect.Value, x extras, d *state.Declared) cty.Value {
	values := map[string]cty.Value{}
	for _, label := range s.labels {
		values[label.name] = cty.StringVal(v.Field(label.index).String())
	}
	for i := range s.attrs {
		a := &s.attrs[i]
		if !a.raw {
			unset := d != nil && v.Field(a.index).IsZero() && d.Attr(a.name) == d.Source
			values[a.name] = encode(a, v, unset, x)
		}
	}
	for _, b := range s.blocks {
		values[b.name] = blockValue(b, v.Field(b.index), slices.Contains(x.sensitive, b.name))
	}
	return cty.ObjectVal(values)
}

// blockValue is nested blocks as a tuple of objects, or one object.
func blockValue(b blockField, field reflect.Value, secret bool) cty.Value {
	var value cty.Value
	switch field.Kind() {
	case reflect.Slice:
		list := make([]cty.Value, field.Len())
		for i := range list {
			list[i] = structValue(b.shape, field.Index(i), extras{}, nil)
		}
		value = cty.TupleVal(list)
	case reflect.Pointer:
		if field.IsNil() {
			return cty.NullVal(cty.DynamicPseudoType)
		}
		value = structValue(b.shape, field.Elem(), extras{}, nil)
	default:
		value = structValue(b.shape, field, extras{}, nil)
	}
	if secret {
		return value.Mark(sensitive)
	}
	return value
}

func encode(a *attrField, v reflect.Value, unset bool, x extras) cty.Value {
	value := cty.NullVal(a.codec.want)
	if !unset && !slices.Contains(x.nulls, a.name) {
		value = a.codec.encode(v.Field(a.index))
	}
	if slices.Contains(x.sensitive, a.name) {
		value = value.Mark(sensitive)
	}
	return value
}
