package desired

import (
	"fmt"
	"iter"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// dynamicWords are what a dynamic block for blocks of a shape may hold.
func dynamicWords(s *shape) *words {
	w := newWords()
	w.attrs["for_each"] = &attrField{name: "for_each", required: true}
	w.attrs["iterator"] = &attrField{name: "iterator", raw: true}
	w.attrs["labels"] = &attrField{name: "labels", raw: true}
	w.required = []string{"for_each"}
	for _, name := range w.attrNames() {
		w.schema.Attributes = append(w.schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	w.blocks["content"] = &shape{words: s.words}
	w.schema.Blocks = []hcl.BlockHeaderSchema{{Type: "content"}}
	return w
}

func iteratorName(c *content, kind string) string {
	if expr := c.attr("iterator"); expr != nil {
		if name := hcl.ExprAsKeyword(expr); name != "" {
			return name
		}
	}
	return kind
}

// maxFailing bounds how many elements of one dynamic block are reported: what is wrong in one is mostly wrong in all.
const maxFailing = 10

// each gives the blocks of the kinds that are wanted, those written and those that dynamic blocks come to, in order.
// The context it hands out is good until yield returns.
func (d *decoder) each(c content, w *words, wanted func(kind string) bool, ctx *hcl.EvalContext, yield func(b *block, ctx *hcl.EvalContext)) {
	for i := range c.blockCount() {
		b := c.block(i)
		if b.kind != "dynamic" {
			if s := w.blocks[b.kind]; s != nil && wanted(b.kind) && len(b.labels) == len(s.labels) {
				yield(&b, ctx)
			}
			continue
		}
		if len(b.labels) == 1 && w.blocks[b.labels[0]] != nil && wanted(b.labels[0]) {
			d.expand(&b, b.labels[0], w.blocks[b.labels[0]], ctx, yield)
		}
	}
}

// expand gives what one dynamic block comes to. One context and one map serve all its elements, one after the other.
func (d *decoder) expand(dyn *block, kind string, s *shape, ctx *hcl.EvalContext, yield func(b *block, ctx *hcl.EvalContext)) {
	c, _ := open(dyn.body, dynamicWords(s))
	content, ok := contentOf(c, s)
	forEach := c.attr("for_each")
	if forEach == nil || !ok {
		return // the survey has said so
	}
	over, ok := d.forEachValue(forEach, ctx)
	if !ok {
		return
	}
	var labels []hcl.Expression
	if len(s.labels) > 0 {
		if labels, ok = d.labelExprs(c.attr("labels"), s); !ok {
			return
		}
	}
	iterator := iteratorName(&c, kind)
	if expr := c.attr("iterator"); expr != nil && hcl.ExprAsKeyword(expr) == "" {
		d.errorf(expr.Range(), "Invalid iterator", "The iterator is a name of your choice, written without quotes.")
		return
	}
	each := ctx.NewChild()
	each.Variables = map[string]cty.Value{}
	made := block{kind: kind, labels: make([]string, len(labels)), body: content.body, place: newPlace(dyn.def(), content.content)}
	failing := 0
	for key, value := range over {
		if failing == maxFailing {
			break
		}
		each.Variables[iterator] = cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})
		before := d.errors
		if d.labelValues(labels, made.labels, each) {
			b := made
			yield(&b, each)
		}
		if d.errors > before {
			failing++
		}
	}
}

type dynamicContent struct {
	body    hcl.Body
	content content
}

func contentOf(c content, s *shape) (dynamicContent, bool) {
	for i := range c.blockCount() {
		if b := c.block(i); b.kind == "content" {
			opened, _ := open(b.body, s.words)
			return dynamicContent{b.body, opened}, true
		}
	}
	return dynamicContent{}, false
}

// forEachValue evaluates what a dynamic block goes over, and hands out a way to go over it.
func (d *decoder) forEachValue(expr hcl.Expression, ctx *hcl.EvalContext) (iter.Seq2[cty.Value, cty.Value], bool) {
	if names, ok := d.filesetCall(expr, ctx); ok {
		d.expected(len(names))
		return overNames(names), true
	}
	v, ok := d.value(expr, ctx)
	if !ok {
		return nil, false
	}
	switch {
	case v.IsMarked():
		d.errorf(expr.Range(), "Sensitive for_each", "A sensitive value cannot be gone over by for_each, since its elements would show in addresses. Use nonsensitive() on what is no secret.")
	case v.IsNull():
		d.errorf(expr.Range(), "Invalid for_each", "The for_each of a dynamic block must not be null.")
	case !v.CanIterateElements():
		d.errorf(expr.Range(), "Invalid for_each", "The for_each of a dynamic block must be a list, set, map, tuple or object, not %s.", v.Type().FriendlyName())
	default:
		d.expected(v.LengthInt())
		return overElements(v), true
	}
	return nil, false
}

// expected tells who collects the blocks how many are coming.
func (d *decoder) expected(n int) {
	if d.expect != nil {
		d.expect(n)
	}
}

func overElements(v cty.Value) iter.Seq2[cty.Value, cty.Value] {
	return func(yield func(key, value cty.Value) bool) {
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			if v.Type().IsSetType() {
				key = value
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

func overNames(names []string) iter.Seq2[cty.Value, cty.Value] {
	return func(yield func(key, value cty.Value) bool) {
		for _, name := range names {
			if v := cty.StringVal(name); !yield(v, v) {
				return
			}
		}
	}
}

// filesetCall evaluates a for_each that is nothing but a call of fileset. Making the set and sorting it again, which cty
// does with some fifteen comparisons an element, would cost more than everything else that is done for a file.
func (d *decoder) filesetCall(expr hcl.Expression, ctx *hcl.EvalContext) ([]string, bool) {
	call, ok := expr.(*hclsyntax.FunctionCallExpr)
	if !ok || call.Name != "fileset" || len(call.Args) != 2 || call.ExpandFinal {
		return nil, false
	}
	var args [2]string
	for i, a := range call.Args {
		v, diags := a.Value(ctx)
		if diags.HasErrors() || v.IsMarked() || !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
			return nil, false // evaluated once more, and reported
		}
		args[i] = v.AsString()
	}
	names, err := d.fileset(args[0], args[1])
	return names, err == nil
}

func (d *decoder) labelExprs(expr hcl.Expression, s *shape) ([]hcl.Expression, bool) {
	if expr == nil {
		return nil, false // the survey has said so
	}
	exprs, diags := hcl.ExprList(expr)
	if diags.HasErrors() || len(exprs) != len(s.labels) {
		d.errorf(expr.Range(), "Invalid labels", "The labels are a list of %d: %s.", len(s.labels), s.labelNames())
		return nil, false
	}
	return exprs, true
}

func (d *decoder) labelValues(exprs []hcl.Expression, labels []string, ctx *hcl.EvalContext) bool {
	for i, expr := range exprs {
		v, ok := d.value(expr, ctx)
		if !ok {
			return false
		}
		if v.ContainsMarked() {
			d.errorf(expr.Range(), "Sensitive label", "A label is part of an address and cannot be sensitive.")
			return false
		}
		s, err := convert.Convert(v, cty.String)
		if err == nil && s.IsNull() {
			err = fmt.Errorf("it must not be null")
		}
		if err != nil {
			d.errorf(expr.Range(), "Invalid label", "A label is a string: %s.", err)
			return false
		}
		labels[i] = s.AsString()
	}
	return true
}
