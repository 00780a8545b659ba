package desired

import (
	"fmt"
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/opdbus/opdbus/state"
)

// A decoder evaluates blocks into structs. It counts its errors, so that who uses it knows whether a part went well.
type decoder struct {
	report  func(hcl.Diagnostics)
	errors  int
	unknown *hcl.Range // the last expression that is not known
	fileset func(dir, pattern string) ([]string, error)
	expect  func(n int) // nil: nobody cares
}

// extras are what a struct does not hold: which arguments are sensitive and which were set to null.
type extras struct{ sensitive, nulls []string }

// block evaluates a block's labels, arguments and nested blocks into a struct of the shape, which is zero.
func (d *decoder) block(b *block, s *shape, ctx *hcl.EvalContext, into reflect.Value) (content, extras) {
	c, _ := open(b.body, s.words)
	for i, l := range s.labels {
		into.Field(l.index).SetString(b.labels[i])
	}
	return c, d.fields(c, s, s.words, ctx, into)
}

// fields evaluates what the shape has of a content that may hold more.
func (d *decoder) fields(c content, s *shape, w *words, ctx *hcl.EvalContext, into reflect.Value) extras {
	var x extras
	for i := range s.attrs {
		a := &s.attrs[i]
		expr := c.attr(a.name)
		if expr == nil {
			continue
		}
		if a.raw {
			into.Field(a.index).Set(reflect.ValueOf(expr))
			continue
		}
		if a.names {
			d.references(expr, ctx, into.Field(a.index))
			continue
		}
		d.attr(a, expr, ctx, into.Field(a.index), &x)
	}
	if len(s.blocks) > 0 && c.blockCount() > 0 {
		for i := range s.blocks {
			d.nested(&s.blocks[i], c, w, ctx, into, &x)
		}
	}
	return x
}

func (d *decoder) attr(a *attrField, expr hcl.Expression, ctx *hcl.EvalContext, field reflect.Value, x *extras) {
	v, ok := d.value(expr, ctx)
	if !ok {
		return
	}
	if v.IsMarked() || !v.Type().IsPrimitiveType() && v.ContainsMarked() {
		v, _ = v.UnmarkDeep()
		x.sensitive = append(x.sensitive, a.name)
	}
	if v.IsNull() {
		if a.required {
			d.errorf(expr.Range(), "Missing required argument", "The argument %q is required, so it must not be null.", a.name)
		}
		x.nulls = append(x.nulls, a.name)
		return
	}
	if err := a.codec.set(field, v); err != nil {
		d.errorf(expr.Range(), "Incorrect attribute value type", "Inappropriate value for attribute %q: %s.", a.name, err)
	}
}

func (d *decoder) nested(f *blockField, c content, w *words, ctx *hcl.EvalContext, into reflect.Value, x *extras) {
	field, n := into.Field(f.index), 0
	d.each(c, w, func(kind string) bool { return kind == f.name }, ctx, func(b *block, ctx *hcl.EvalContext) {
		elem := reflect.New(f.shape.typ).Elem()
		inner, inside := d.block(b, f.shape, ctx, elem)
		if len(inside.sensitive) > 0 && (len(x.sensitive) == 0 || x.sensitive[len(x.sensitive)-1] != f.name) {
			x.sensitive = append(x.sensitive, f.name)
		}
		if p, ok := elem.Addr().Interface().(placed); ok {
			p.placed(b.def(), b.attrPlace(inner), inside)
		}
		if p, ok := elem.Addr().Interface().(state.Placed); ok {
			p.Place(rangeOf(b.def()), b.attrPlace(inner))
		}
		switch n++; {
		case field.Kind() == reflect.Slice:
			field.Set(reflect.Append(field, elem))
		case n > 1:
			d.errorf(b.def(), "Duplicate "+f.name+" block", "Only one %s block is allowed here.", f.name)
		case field.Kind() == reflect.Pointer:
			field.Set(elem.Addr())
		default:
			field.Set(elem)
		}
	})
}

// value evaluates an expression. It is not ok when that failed, or when it depends on what failed elsewhere and was
// reported there: in a configuration without mistakes everything is known.
func (d *decoder) value(expr hcl.Expression, ctx *hcl.EvalContext) (cty.Value, bool) {
	if t, ok := expr.(*hclsyntax.TemplateExpr); ok && t.IsStringLiteral() {
		return t.Parts[0].(*hclsyntax.LiteralValueExpr).Val, true
	}
	v, diags := expr.Value(ctx)
	if len(diags) > 0 {
		d.diags(diags)
		if diags.HasErrors() {
			return cty.NilVal, false
		}
	}
	if !isKnown(v) {
		d.errors++ // not said again
		*d.unknown = expr.Range()
		return cty.NilVal, false
	}
	return v, true
}

// isKnown says whether nothing in a value is unknown. Looking into a set would sort it, and a set of strings that is known
// has only known elements.
func isKnown(v cty.Value) bool {
	if t := v.Type(); t.IsPrimitiveType() || t.IsSetType() && t.ElementType().IsPrimitiveType() {
		return v.IsKnown()
	}
	return v.IsWhollyKnown()
}

func (d *decoder) diags(diags hcl.Diagnostics) {
	if diags.HasErrors() {
		d.errors++
	}
	d.report(diags)
}

func (d *decoder) errorf(at hcl.Range, summary, detail string, args ...any) {
	d.diags(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at}})
}
