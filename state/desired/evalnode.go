package desired

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// evalNode evaluates a node block to its instances: first whether and how often there is one, then the rest.
func (l *loader) evalNode(n *node) {
	if n.failed {
		return
	}
	if !l.instances(n, l.scope(n.gateRefs)) {
		n.failed = true
		return
	}
	scope := l.unchecked
	if slices.ContainsFunc(n.instances, func(in *instance) bool { return in.absent() == "" }) {
		scope = l.scope
	}
	ctx := scope(slices.DeleteFunc(slices.Clone(n.refs), func(r *reference) bool { return r.named && n.id() == r.root+"."+r.name })) // which has no value yet
	for _, in := range n.instances {
		each := ctx
		if in.addr.Key != "" {
			each = l.eachScope(ctx, n, in.addr.Key)
		}
		if in.absent() != "" {
			l.leaveOut(in, each)
			continue
		}
		if !l.evalInstance(in, each) {
			n.failed = true
		}
	}
}

// instances makes the instances of a node block and sorts out those that are left out.
func (l *loader) instances(n *node, ctx *hcl.EvalContext) bool {
	if n.forEach == nil {
		in := &instance{of: n, addr: state.NodeAddr{Type: n.typ, Name: n.name}}
		n.instances = []*instance{in}
		return l.gate(in, ctx)
	}
	values, ok := l.forEach(n.forEach, ctx)
	if !ok {
		return false
	}
	n.each = values
	for _, key := range sortedKeys(values) {
		in := &instance{of: n, addr: state.NodeAddr{Type: n.typ, Name: n.name, Key: key}}
		n.instances = append(n.instances, in)
		if !l.gate(in, l.eachScope(ctx, n, key)) {
			ok = false
		}
	}
	return ok
}

// forEach evaluates the for_each of a node block: a map, an object or a set of strings.
func (l *loader) forEach(expr hcl.Expression, ctx *hcl.EvalContext) (map[string]cty.Value, bool) {
	v, ok := l.decoder().value(expr, ctx)
	if !ok {
		return nil, false
	}
	t := v.Type()
	switch {
	case v.IsMarked():
		l.errorf(expr.Range(), "Sensitive for_each", "A sensitive value cannot be gone over by for_each, since its elements would show in addresses. Use nonsensitive() on what is no secret.")
	case v.IsNull():
		l.errorf(expr.Range(), "Invalid for_each", "The for_each of a node must not be null; {} makes no node.")
	case !(t.IsMapType() || t.IsObjectType() || t.IsSetType() && (t.ElementType() == cty.String || v.LengthInt() == 0)):
		l.errorf(expr.Range(), "Invalid for_each", "The for_each of a node is a map, or a set of strings, not %s.%s", t.FriendlyName(), toset(t))
	default:
		return l.eachValues(expr, v)
	}
	return nil, false
}

func toset(t cty.Type) string {
	if t.IsListType() || t.IsTupleType() {
		return " Use toset() on a list of strings."
	}
	return ""
}

func (l *loader) eachValues(expr hcl.Expression, v cty.Value) (map[string]cty.Value, bool) {
	values, ok := map[string]cty.Value{}, true
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if v.Type().IsSetType() {
			key = value
		}
		if key.IsNull() || key.AsString() == "" {
			l.errorf(expr.Range(), "Invalid for_each", "A key of for_each is part of an address and must not be empty.")
			ok = false
			continue
		}
		values[key.AsString()] = value
	}
	return values, ok
}

// eachScope adds each.key and each.value.
func (l *loader) eachScope(ctx *hcl.EvalContext, n *node, key string) *hcl.EvalContext {
	each := map[string]cty.Value{"key": cty.StringVal(key), "value": n.each[key]}
	for _, r := range n.refs {
		if r.root == "each" && r.bad {
			each[r.name] = failedValue()
		}
	}
	child := ctx.NewChild()
	child.Variables = map[string]cty.Value{"each": cty.ObjectVal(each)}
	return child
}

// gate decides whether the instance is left out.
func (l *loader) gate(in *instance, ctx *hcl.EvalContext) bool {
	n, d := in.of, l.decoder()
	var g nodeGate
	x := d.fields(n.content, n.catalogue.gate, n.catalogue.words, ctx, reflect.ValueOf(&g).Elem())
	l.notSensitive(n.content, x)
	if d.errors > 0 || len(x.sensitive) > 0 {
		return false
	}
	switch {
	case g.Enabled != nil && !*g.Enabled:
		in.disabled = true
	case g.RequiresFeature != "" && !l.features[g.RequiresFeature]:
		in.skipped = fmt.Sprintf("the feature %q is off", g.RequiresFeature)
	}
	if g.RequiresFeature != "" && slices.Contains(l.o.Facts.Features, g.RequiresFeature) {
		l.digest.value("feature", g.RequiresFeature, []byte("on"))
	}
	return true
}

// leaveOut notes an instance that is left out: one whose feature is off, and one that is disabled and protected, as being
// left out does not lift its protection. Mistakes in what nobody uses are not reported.
func (l *loader) leaveOut(in *instance, ctx *hcl.EvalContext) {
	n := in.of
	var common nodeCommon
	quiet := &decoder{report: func(hcl.Diagnostics) {}, unknown: new(hcl.Range), fileset: l.fileset}
	quiet.fields(n.content, n.catalogue.common, n.catalogue.words, ctx, reflect.ValueOf(&common).Elem())
	s := state.Skipped{Addr: in.addr, Reason: in.skipped, Source: rangeOf(n.def), PreventDestroy: common.Lifecycle != nil && common.Lifecycle.PreventDestroy}
	if in.disabled {
		s.Reason = "enabled is false"
	}
	if in.skipped != "" || s.PreventDestroy {
		l.config.Skipped = append(l.config.Skipped, s)
	}
}

// evalInstance evaluates one node's arguments and objects.
func (l *loader) evalInstance(in *instance, ctx *hcl.EvalContext) bool {
	n, d := in.of, l.decoder()
	before := len(l.diags)
	nd := &state.Node{Addr: in.addr, Source: rangeOf(n.def), Attr: n.block.attrPlace(n.content)}
	in.node = nd
	l.evalCommon(in, d, ctx)
	cat := n.catalogue
	self := reflect.New(cat.self.typ).Elem()
	for _, label := range cat.self.labels {
		self.Field(label.index).SetString(n.name)
	}
	in.self = d.fields(n.content, cat.self, cat.words, ctx, self)
	l.notSensitive(n.content, in.self)
	l.contain(in, self)
	nd.Self = self.Interface().(state.Object)
	l.objects(in, d, ctx)
	l.checkSchema(in)
	return d.errors == 0 && !l.diags[before:].HasErrors()
}

// objects evaluates the blocks in a node that are objects, in the order in which they stand.
func (l *loader) objects(in *instance, d *decoder, ctx *hcl.EvalContext) {
	type id struct{ kind, key string }
	n, cat := in.of, in.of.catalogue
	nd, count := in.node, n.content.blockCount()
	seen := make(map[id]int, count)
	if count > 0 {
		nd.Objects = make([]state.Declared, 0, count)
	}
	d.expect = func(n int) { nd.Objects = slices.Grow(nd.Objects, n) }
	defer func() { d.expect = nil }()
	isObject := func(kind string) bool { return cat.kinds[kind] != nil }
	d.each(n.content, cat.words, isObject, ctx, func(b *block, ctx *hcl.EvalContext) {
		k := cat.kinds[b.kind]
		k.scratch.SetZero()
		c, x := d.block(b, k.shape, ctx, k.scratch)
		object := k.scratch.Interface().(state.Object)
		key := object.Key()
		if strings.TrimSpace(key) == "" {
			d.errorf(b.def(), "Empty "+k.shape.labelNames(), "The %s of a %s must not be empty.", k.shape.labelNames(), b.kind)
			return
		}
		if first, ok := seen[id{b.kind, key}]; ok {
			d.errorf(b.def(), "Duplicate "+b.kind, "%s already has %s[%q], declared at %s.", in.addr, b.kind, key, placeText(nd.Objects[first].Source))
			return
		}
		seen[id{b.kind, key}] = len(nd.Objects)
		if len(x.nulls) > 0 {
			if in.extras == nil {
				in.extras = map[int][]string{}
			}
			in.extras[len(nd.Objects)] = x.nulls
		}
		nd.Objects = append(nd.Objects, state.Declared{
			Addr:      state.Addr{Node: in.addr, Kind: b.kind, Key: key},
			Object:    object,
			Sensitive: x.sensitive,
			Source:    rangeOf(b.def()),
			Attr:      b.attrPlace(c),
		})
	})
}
