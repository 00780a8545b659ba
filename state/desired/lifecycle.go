package desired

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// ignored reads ignore_changes or ignore_drift: a list of strings or bare references, each KIND["key"],
// KIND["key"].attribute, KIND.attribute, or all; or the one word all.
func (l *loader) ignored(n *node, expr hcl.Expression) []string {
	if expr == nil {
		return nil
	}
	exprs, diags := hcl.ExprList(expr)
	if diags.HasErrors() {
		exprs = []hcl.Expression{expr}
	}
	var entries []string
	for _, e := range exprs {
		if s, ok := l.ignoredEntry(n, e); ok {
			entries = append(entries, s)
		}
	}
	return entries
}

func (l *loader) ignoredEntry(n *node, expr hcl.Expression) (string, bool) {
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		v, vdiags := expr.Value(nil)
		if vdiags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
			return l.badIgnored(expr)
		}
		if t, diags = traversalIn(v.AsString(), expr.Range()); diags.HasErrors() {
			return l.badIgnored(expr)
		}
	}
	if len(t) == 1 && t.RootName() == "all" {
		return "all", true
	}
	kind := t.RootName()
	k := n.catalogue.kinds[kind]
	if k == nil {
		if len(t) == 1 && n.catalogue.self.attr(kind) != nil {
			return kind, true
		}
		l.errorf(expr.Range(), "Unknown kind", "%s has no kind %q.%s", n.id(), kind, didYouMean(kind, append(sortedKeys(n.catalogue.kinds), "all")))
		return "", false
	}
	var b strings.Builder
	b.WriteString(kind)
	rest := t[1:]
	if len(rest) > 0 {
		if key, ok := indexKey(rest[0]); ok {
			b.WriteString("[" + strconv.Quote(key) + "]")
			rest = rest[1:]
		}
	}
	switch len(rest) {
	case 0:
		if len(t) == 1 {
			return l.badIgnored(expr)
		}
	case 1:
		attr, ok := rest[0].(hcl.TraverseAttr)
		if !ok {
			return l.badIgnored(expr)
		}
		if names := k.shape.words.names(); !contains(names, attr.Name) {
			l.errorf(expr.Range(), "Unsupported attribute", "A %s has no attribute %q.%s", kind, attr.Name, didYouMean(attr.Name, names))
			return "", false
		}
		b.WriteString("." + attr.Name)
	default:
		return l.badIgnored(expr)
	}
	return b.String(), true
}

func (l *loader) badIgnored(expr hcl.Expression) (string, bool) {
	l.errorf(expr.Range(), "Invalid entry", "An entry is KIND[\"key\"], KIND[\"key\"].attribute, KIND.attribute, or all.")
	return "", false
}

// traversalIn parses a traversal that stands in a string.
func traversalIn(s string, at hcl.Range) (hcl.Traversal, hcl.Diagnostics) {
	return hclsyntax.ParseTraversalAbs([]byte(s), at.Filename, at.Start)
}

// history reads the moved and removed blocks.
func (l *loader) history(tops []top) {
	for i := range tops {
		t := &tops[i]
		switch t.kind {
		case "moved":
			l.moved(&t.block)
		case "removed":
			l.removed(&t.block)
		}
	}
}

// addr reads the address in a moved or removed block.
func (l *loader) addr(expr hcl.Expression) (state.Addr, bool) {
	if expr == nil {
		return state.Addr{}, false // the survey has said so
	}
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		if v, vdiags := expr.Value(nil); !vdiags.HasErrors() && v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			t, diags = traversalIn(v.AsString(), expr.Range())
		}
	}
	if !diags.HasErrors() {
		var b strings.Builder
		for i, step := range t {
			switch s := step.(type) {
			case hcl.TraverseRoot:
				b.WriteString(s.Name)
			case hcl.TraverseAttr:
				b.WriteString("." + s.Name)
			default:
				key, ok := indexKey(step)
				if !ok {
					key = "" // ParseAddr reports it
				}
				if i == 1 {
					b.WriteString("." + key)
				} else {
					b.WriteString("[" + strconv.Quote(key) + "]")
				}
			}
		}
		if a, err := state.ParseAddr(b.String()); err == nil {
			return a, true
		}
	}
	l.errorf(expr.Range(), "Invalid address", "An address reads stage.NAME, plugin.NAME, network.NAME, or one of these with [\"key\"] or .KIND[\"key\"] after it.")
	return state.Addr{}, false
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}
