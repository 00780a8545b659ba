package desired

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A dependency is one entry of a node's dependencies: a node by its address, perhaps with the key to be evaluated, or an
// expression for the name of a stage or for a list of such.
type dependency struct {
	expr     hcl.Expression
	typ      string // empty: an expression
	name     string
	key      hcl.Expression // nil: no key, or it is in fixedKey
	fixedKey *string
}

// dependencies reads the argument as far as it can be read unevaluated, and surveys what has to be evaluated.
func (l *loader) dependencies(expr hcl.Expression, s *survey) []dependency {
	if expr == nil {
		return nil
	}
	exprs, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		s.expr(expr)
		return []dependency{{expr: expr}}
	}
	var deps []dependency
	for _, e := range exprs {
		d, ok := addressed(e)
		switch {
		case !ok:
			s.expr(e)
		case d.key != nil:
			s.expr(d.key)
		}
		deps = append(deps, d)
	}
	return deps
}

// addressed reads stage.a, stage.a["k"] and stage.a[each.key], and in JSON the same as strings or in ${}.
func addressed(expr hcl.Expression) (dependency, bool) {
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		if v, vdiags := expr.Value(nil); !vdiags.HasErrors() && v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			if s, ok := strings.CutPrefix(v.AsString(), "${"); ok && strings.HasSuffix(s, "}") {
				t, diags = traversalIn(s[:len(s)-1], expr.Range())
			}
		}
	}
	if !diags.HasErrors() && len(t) >= 2 && isNodeType(t.RootName()) {
		if name, ok := stepName(t[1]); ok {
			d := dependency{expr: expr, typ: t.RootName(), name: name}
			if len(t) > 2 {
				key, ok := indexKey(t[2])
				if !ok || len(t) > 3 {
					key = "\x00" // of an object: reported as no instance
				}
				d.fixedKey = &key
			}
			return d, true
		}
	}
	if index, ok := expr.(*hclsyntax.IndexExpr); ok {
		if d, ok := addressed(index.Collection); ok && d.fixedKey == nil && d.key == nil {
			d.expr, d.key = expr, index.Key
			return d, true
		}
	}
	return dependency{expr: expr}, false
}

// resolve finds the nodes that an entry means; nothing when it is wrong, which is reported.
func (l *loader) resolve(d dependency, ctx *hcl.EvalContext) []*instance {
	if d.typ == "" {
		return l.resolveText(d, ctx)
	}
	key := d.fixedKey
	if d.key != nil {
		v, ok := l.decoder().value(d.key, ctx)
		if !ok {
			return nil
		}
		s, ok := l.text(v, d.key.Range())
		if !ok {
			return nil
		}
		key = &s
	}
	return l.resolveNode(d.typ, d.name, key, d.expr.Range())
}

func (l *loader) resolveText(d dependency, ctx *hcl.EvalContext) []*instance {
	v, ok := l.decoder().value(d.expr, ctx)
	if !ok {
		return nil
	}
	if v.ContainsMarked() {
		l.errorf(d.expr.Range(), "Sensitive dependency", "The name of a node cannot be sensitive.")
		return nil
	}
	if v.IsNull() || v.Type().IsPrimitiveType() {
		return l.resolveName(v, d.expr.Range())
	}
	if !v.CanIterateElements() || v.Type().IsMapType() || v.Type().IsObjectType() {
		l.errorf(d.expr.Range(), "Invalid dependency", "A dependency is the name of a stage, or a reference to a node such as plugin.systemd; this is %s.", v.Type().FriendlyName())
		return nil
	}
	var found []*instance
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		found = append(found, l.resolveName(e, d.expr.Range())...)
	}
	return found
}

// resolveName finds a stage by its name, or any node by its address in a string.
func (l *loader) resolveName(v cty.Value, at hcl.Range) []*instance {
	s, ok := l.text(v, at)
	if !ok {
		return nil
	}
	if !strings.Contains(s, ".") {
		return l.resolveNode(state.StageNode, s, nil, at)
	}
	a, err := state.ParseAddr(s)
	if err != nil || !a.IsNode() {
		l.errorf(at, "Invalid dependency", "%q is neither the name of a stage nor the address of a node.", s)
		return nil
	}
	if a.Node.Key == "" {
		return l.resolveNode(a.Node.Type, a.Node.Name, nil, at)
	}
	return l.resolveNode(a.Node.Type, a.Node.Name, &a.Node.Key, at)
}

func (l *loader) text(v cty.Value, at hcl.Range) (string, bool) {
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() || s.IsMarked() {
		l.errorf(at, "Invalid dependency", "A dependency is the name of a stage, or a reference to a node such as plugin.systemd.")
		return "", false
	}
	return s.AsString(), true
}

func (l *loader) resolveNode(typ, name string, key *string, at hcl.Range) []*instance {
	n := l.nodes[typ+"."+name]
	switch {
	case n == nil:
		l.errorf(at, "Dependency on undeclared node", "There is no %s %q in this configuration.%s", typ, name, l.meantNode(typ, name))
		return nil
	case n.failed && len(n.instances) == 0:
		return nil
	case key == nil:
		if in := n.instance(""); in != nil {
			if why := in.absent(); why != "" {
				l.errorf(at, "Dependency on a node that is left out", "%s is left out: %s. Leave out what depends on it in the same way.", in.addr, why)
				return nil
			}
		}
		return n.instances
	}
	in := n.instance(*key)
	switch {
	case in == nil && strings.HasPrefix(*key, "\x00"):
		l.errorf(at, "Invalid dependency", "A dependency names a node, not something in it: write %s.", n.id())
		return nil
	case in == nil:
		l.errorf(at, "Dependency on undeclared node", "%s has no instance %q.%s", n.id(), *key, didYouMean(*key, n.keys()))
		return nil
	case in.absent() != "":
		l.errorf(at, "Dependency on a node that is left out", "%s is left out: %s. Leave out what depends on it in the same way.", in.addr, in.absent())
		return nil
	}
	return []*instance{in}
}
