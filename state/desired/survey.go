package desired

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A survey goes through a block once, before anything is evaluated: it finds the names that the language does not know
// and what is missing, and collects what the expressions refer to. Evaluation, which may go over the same block many
// times, then checks values only.
type survey struct {
	report func(hcl.Diagnostics)
	refs   references
	// shadow are the iterators of the dynamic blocks around.
	shadow []string
	// unknown explains a block that does not belong here; empty for the plain message.
	unknown func(kind string) (summary, detail string)
}

// body goes through a body of the given words; def is where its block begins.
func (s *survey) body(body hcl.Body, w *words, def hcl.Range) {
	c, diags := open(body, w)
	s.report(diags)
	s.attrs(c, w, def)
	for i := range c.blockCount() {
		b := c.block(i)
		s.block(&b, w)
	}
}

func (s *survey) attrs(c content, w *words, def hcl.Range) {
	if c.native != nil {
		for name, a := range c.native.Attributes {
			s.attr(name, a.Expr, a.NameRange, w)
		}
	} else {
		for name, a := range c.attrs {
			s.attr(name, a.Expr, a.NameRange, w)
		}
		s.extra(c, w)
	}
	for _, name := range w.required {
		if c.attr(name) == nil {
			s.errorf(def, "Missing required argument", "The argument %q is required, but no definition was found.", name)
		}
	}
}

// extra reports what JSON has besides, in which an argument looks like a block.
func (s *survey) extra(c content, w *words) {
	for name, a := range c.extra {
		if s.unknown != nil {
			if summary, detail := s.unknown(name); summary != "" {
				s.errorf(a.NameRange, summary, "%s", detail)
				continue
			}
		}
		s.errorf(a.NameRange, "Unsupported argument or block", "No argument or block type is named %q.%s", name, didYouMean(name, w.names()))
	}
}

func (s *survey) attr(name string, expr hcl.Expression, at hcl.Range, w *words) {
	switch a := w.attrs[name]; {
	case a == nil && w.blocks[name] != nil:
		s.errorf(at, "Unsupported argument", "An argument named %q is not expected here. Did you mean to define a block of type %q?", name, name)
	case a == nil:
		s.errorf(at, "Unsupported argument", "An argument named %q is not expected here.%s", name, didYouMean(name, w.attrNames()))
	case !a.raw:
		s.refer(expr, a.names)
	}
}

func (s *survey) block(b *block, w *words) {
	if b.kind == "dynamic" && len(w.blocks) > 0 {
		s.dynamic(b, w)
		return
	}
	shape := w.blocks[b.kind]
	if shape == nil {
		s.unknownBlock(b.typeRange(), b.kind, w)
		return
	}
	if len(b.labels) != len(shape.labels) {
		s.labels(b, shape)
	}
	s.body(b.body, shape.words, b.def())
}

func (s *survey) unknownBlock(at hcl.Range, kind string, w *words) {
	if w.attrs[kind] != nil {
		s.errorf(at, "Unsupported block type", "Blocks of type %q are not expected here. Did you mean to define argument %q? If so, use the equals sign to assign it a value.", kind, kind)
		return
	}
	if s.unknown != nil {
		if summary, detail := s.unknown(kind); summary != "" {
			s.errorf(at, summary, "%s", detail)
			return
		}
	}
	s.errorf(at, "Unsupported block type", "Blocks of type %q are not expected here.%s", kind, didYouMean(kind, w.blockNames()))
}

func (s *survey) labels(b *block, shape *shape) {
	at, has := b.def(), "has one label, its "+shape.labelNames()
	switch n := len(shape.labels); {
	case n == 0:
		has = "has no label"
	case n > 1:
		has = fmt.Sprintf("has %d labels: %s", n, shape.labelNames())
	}
	if len(b.labels) < len(shape.labels) {
		s.errorf(at, "Missing "+shape.labels[len(b.labels)].name+" for "+b.kind, "A %s block %s.", b.kind, has)
		return
	}
	if b.native != nil && len(b.native.LabelRanges) > len(shape.labels) {
		at = b.native.LabelRanges[len(shape.labels)]
	}
	s.errorf(at, "Extraneous label for "+b.kind, "A %s block %s.", b.kind, has)
}

// dynamic goes through a dynamic block and, with its iterator in scope, through its content.
func (s *survey) dynamic(b *block, w *words) {
	if len(b.labels) != 1 {
		s.errorf(b.def(), "Wrong labels for dynamic", "A dynamic block has one label, the kind of the blocks that it makes.")
		return
	}
	kind := b.labels[0]
	shape := w.blocks[kind]
	if shape == nil {
		s.unknownBlock(b.def(), kind, w)
		return
	}
	dw := dynamicWords(shape)
	c, diags := open(b.body, dw)
	s.report(diags)
	s.attrs(c, dw, b.def())
	outer := s.shadow
	s.shadow = append(outer[:len(outer):len(outer)], iteratorName(&c, kind))
	defer func() { s.shadow = outer }()
	if labels := c.attr("labels"); labels != nil {
		s.expr(labels)
	} else if len(shape.labels) > 0 {
		s.errorf(b.def(), "Missing labels", "A dynamic block for %q needs labels, a list with the %s of each block, such as labels = [%s.key].", kind, shape.labelNames(), iteratorName(&c, kind))
	}
	contents := 0
	for i := range c.blockCount() {
		cb := c.block(i)
		if cb.kind != "content" {
			s.unknownBlock(cb.typeRange(), cb.kind, dw)
			continue
		}
		if contents++; contents > 1 {
			s.errorf(cb.def(), "Extraneous content block", "A dynamic block has one content block.")
		}
		if len(cb.labels) > 0 {
			s.errorf(cb.def(), "Extraneous label for content", "No labels are expected for content blocks; the labels argument of the dynamic block says them.")
		}
		s.body(cb.body, shape.words, b.def())
	}
	if contents == 0 {
		s.errorf(b.def(), "Missing content block", "A dynamic block needs a content block, the body of each block that it makes.")
	}
}

// expr collects what an expression refers to.
func (s *survey) expr(expr hcl.Expression) { s.refer(expr, false) }

func (s *survey) refer(expr hcl.Expression, named bool) {
	if isLiteral(expr) {
		return
	}
	for _, t := range expr.Variables() {
		s.refs.add(t, s.shadow, named)
	}
}

// isLiteral knows the plain strings, numbers and booleans that most arguments are.
func isLiteral(expr hcl.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		return e.IsStringLiteral()
	case *hclsyntax.LiteralValueExpr:
		return true
	}
	return false
}

func (s *survey) errorf(at hcl.Range, summary, detail string, args ...any) {
	s.report(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at}})
}

func (s *shape) labelNames() string {
	names := ""
	for i, l := range s.labels {
		if i > 0 {
			names += ", "
		}
		names += l.name
	}
	return names
}
