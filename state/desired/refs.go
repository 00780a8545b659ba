package desired

import (
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/opdbus/opdbus/state"
)

// references reads an argument whose entries name nodes and objects rather than have their values. Whether there are such is seen when
// all nodes have come to what they are.
func (d *decoder) references(expr hcl.Expression, ctx *hcl.EvalContext, field reflect.Value) {
	exprs, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		d.errorf(expr.Range(), "Invalid references", "A list of references is required, such as [stage.web.file[\"etc/web.conf\"], plugin.dbus].")
		return
	}
	refs := make(state.References, 0, len(exprs))
	for _, e := range exprs {
		steps, ok := d.steps(e, ctx)
		if !ok {
			continue
		}
		a, ok := addrOf(steps)
		if !ok {
			d.errorf(e.Range(), "Invalid reference", "A reference names a node or an object in one, such as stage.web or stage.web.file[\"etc/web.conf\"].")
			continue
		}
		refs = append(refs, a.String())
	}
	field.Set(reflect.ValueOf(refs))
}

// A refStep is one step of a reference: a name after a dot, or a key in brackets.
type refStep struct {
	name string
	key  bool
}

// steps takes a reference apart; keys in brackets may be expressions.
func (d *decoder) steps(expr hcl.Expression, ctx *hcl.EvalContext) ([]refStep, bool) {
	switch e := expr.(type) {
	case *hclsyntax.IndexExpr:
		steps, ok := d.steps(e.Collection, ctx)
		if !ok {
			return nil, false
		}
		v, ok := d.value(e.Key, ctx)
		if !ok {
			return nil, false
		}
		if v, _ = v.Unmark(); v.IsNull() || v.Type() != cty.String {
			d.errorf(e.Key.Range(), "Invalid reference", "The key of a node or an object is a string.")
			return nil, false
		}
		return append(steps, refStep{v.AsString(), true}), true
	case *hclsyntax.RelativeTraversalExpr:
		steps, ok := d.steps(e.Source, ctx)
		if !ok {
			return nil, false
		}
		return appendSteps(steps, e.Traversal), true
	}
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		if v, vdiags := expr.Value(nil); !vdiags.HasErrors() && v.IsKnown() && !v.IsNull() && v.Type() == cty.String { // JSON, or an address
			text := v.AsString()
			if inner, ok := strings.CutPrefix(text, "${"); ok {
				text = strings.TrimSuffix(inner, "}")
			}
			t, diags = traversalIn(text, expr.Range())
		}
	}
	if diags.HasErrors() {
		d.errorf(expr.Range(), "Invalid reference", "A reference names a node or an object in one, such as stage.web or stage.web.file[\"etc/web.conf\"].")
		return nil, false
	}
	return appendSteps([]refStep{{name: t.RootName()}}, t[1:]), true
}

func appendSteps(steps []refStep, t hcl.Traversal) []refStep {
	for _, step := range t {
		name, ok := stepName(step)
		_, key := step.(hcl.TraverseIndex)
		if !ok {
			name = "\x00" // of nothing: no address has it
		}
		steps = append(steps, refStep{name, key})
	}
	return steps
}

// addrOf is the address that a reference's steps are: TYPE.NAME, TYPE.NAME["key"], and either with .KIND["key"] after it.
func addrOf(steps []refStep) (state.Addr, bool) {
	if len(steps) < 2 || steps[0].key || steps[1].key || !isNodeType(steps[0].name) {
		return state.Addr{}, false
	}
	a := state.Addr{Node: state.NodeAddr{Type: steps[0].name, Name: steps[1].name}}
	rest := steps[2:]
	if len(rest) > 0 && rest[0].key {
		a.Node.Key, rest = rest[0].name, rest[1:]
	}
	switch {
	case len(rest) == 0:
		return a, true
	case len(rest) == 2 && !rest[0].key && rest[1].key:
		a.Kind, a.Key = rest[0].name, rest[1].name
		return a, true
	}
	return state.Addr{}, false
}
