package statejson

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// placeBody gives what was parsed of the written text the places that it was made from.
func placeBody(body *hclsyntax.Body, blocks []*block) {
	for i, b := range body.Blocks {
		from := blocks[i]
		b.TypeRange, b.OpenBraceRange, b.CloseBraceRange = from.at, from.at, from.at
		for l := range b.LabelRanges {
			b.LabelRanges[l] = from.at
		}
		b.Body.SrcRange, b.Body.EndRange = from.at, from.at
		for _, a := range from.attributes {
			to := b.Body.Attributes[a.name]
			to.SrcRange, to.NameRange, to.EqualsRange = a.at, a.at, a.at
			placeExpression(to.Expr, a.value)
		}
		placeBody(b.Body, from.blocks)
	}
}

func placeExpression(e hclsyntax.Expression, from expression) {
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		placeNode(n, from.at)
		return nil
	})
	switch e := e.(type) {
	case *hclsyntax.TupleConsExpr:
		for i, item := range e.Exprs {
			placeExpression(item, from.list[i])
		}
	case *hclsyntax.ObjectConsExpr:
		for i, item := range e.Items {
			placeExpression(item.ValueExpr, from.pairs[i].value)
		}
	}
}

// placeNode places one node of those that are written.
func placeNode(n hclsyntax.Node, at hcl.Range) {
	switch n := n.(type) {
	case *hclsyntax.LiteralValueExpr:
		n.SrcRange = at
	case *hclsyntax.TemplateExpr:
		n.SrcRange = at
	case *hclsyntax.UnaryOpExpr:
		n.SrcRange, n.SymbolRange = at, at
	case *hclsyntax.TupleConsExpr:
		n.SrcRange, n.OpenRange = at, at
	case *hclsyntax.ObjectConsExpr:
		n.SrcRange, n.OpenRange = at, at
	case *hclsyntax.ScopeTraversalExpr:
		n.SrcRange = at
		for i, step := range n.Traversal {
			switch step := step.(type) {
			case hcl.TraverseRoot:
				step.SrcRange = at
				n.Traversal[i] = step
			case hcl.TraverseAttr:
				step.SrcRange = at
				n.Traversal[i] = step
			}
		}
	}
}
