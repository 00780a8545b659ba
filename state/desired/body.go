package desired

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/opdbus/opdbus/state"
)

// A content is a body that has been opened. The native syntax is read in place, since hcl's generic way copies every
// body into maps of its own, which costs more than all the rest of decoding; JSON has to go that way.
type content struct {
	native *hclsyntax.Body
	attrs  hcl.Attributes
	blocks hcl.Blocks
	extra  hcl.Attributes // what JSON has besides, which may have been meant for blocks as well
}

// A block is one block of a content, or one that a dynamic block comes to.
type block struct {
	kind   string
	labels []string
	body   hcl.Body
	native *hclsyntax.Block
	other  *hcl.Block
	// place is set for what a dynamic block made: all its blocks share the place.
	place *place
}

// open reads a body. Names that words do not know are left to the survey.
func open(body hcl.Body, w *words) (content, hcl.Diagnostics) {
	if native, ok := body.(*hclsyntax.Body); ok {
		return content{native: native}, nil
	}
	if w == nil {
		attrs, diags := body.JustAttributes()
		return content{attrs: attrs}, diags
	}
	c, rest, diags := body.PartialContent(&w.schema)
	if diags.HasErrors() {
		return content{attrs: c.Attributes, blocks: c.Blocks}, diags
	}
	extra, diags := rest.JustAttributes()
	return content{attrs: c.Attributes, blocks: c.Blocks, extra: extra}, diags
}

// attr is an argument's expression; nil when it is not set.
func (c *content) attr(name string) hcl.Expression {
	if c.native != nil {
		if a := c.native.Attributes[name]; a != nil {
			return a.Expr
		}
		return nil
	}
	if a := c.attrs[name]; a != nil {
		return a.Expr
	}
	return nil
}

// attrRange is where an argument stands.
func (c *content) attrRange(name string) (hcl.Range, bool) {
	if c.native != nil {
		if a := c.native.Attributes[name]; a != nil {
			return a.SrcRange, true
		}
		return hcl.Range{}, false
	}
	if a := c.attrs[name]; a != nil {
		return a.Range, true
	}
	return hcl.Range{}, false
}

func (c *content) attrNames() []string {
	if c.native != nil {
		return sortedKeys(c.native.Attributes)
	}
	return sortedKeys(c.attrs)
}

func (c *content) blockCount() int {
	if c.native != nil {
		return len(c.native.Blocks)
	}
	return len(c.blocks)
}

func (c *content) block(i int) block {
	if c.native != nil {
		b := c.native.Blocks[i]
		return block{kind: b.Type, labels: b.Labels, body: b.Body, native: b}
	}
	b := c.blocks[i]
	return block{kind: b.Type, labels: b.Labels, body: b.Body, other: b}
}

// nameRange is where an argument's name stands.
func (c *content) nameRange(name string) hcl.Range {
	if c.native != nil {
		return c.native.Attributes[name].NameRange
	}
	return c.attrs[name].NameRange
}

// def is where the block begins: its type and labels.
func (b *block) def() hcl.Range {
	switch {
	case b.place != nil:
		return b.place.def
	case b.native != nil:
		return b.native.DefRange()
	}
	return b.other.DefRange
}

func (b *block) typeRange() hcl.Range {
	switch {
	case b.place != nil:
		return b.place.def
	case b.native != nil:
		return b.native.TypeRange
	}
	return b.other.TypeRange
}

// A place answers where a block and its arguments stand.
type place struct {
	def  hcl.Range
	body content
	attr func(name string) state.Range
}

func newPlace(def hcl.Range, body content) *place {
	p := &place{def: def, body: body}
	p.attr = func(name string) state.Range {
		if r, ok := p.body.attrRange(name); ok {
			return rangeOf(r)
		}
		return rangeOf(p.def)
	}
	return p
}

// attrPlace is what Attr of a declared object is. It holds on to the parsed block and computes nothing until it is asked.
func (b *block) attrPlace(c content) func(name string) state.Range {
	switch {
	case b.place != nil:
		return b.place.attr
	case b.native != nil:
		native := b.native
		return func(name string) state.Range {
			if a := native.Body.Attributes[name]; a != nil {
				return rangeOf(a.SrcRange)
			}
			return rangeOf(nestedRange(native, name))
		}
	}
	return newPlace(b.other.DefRange, c).attr
}

// nestedRange is where KIND["LABEL"] stands in a block, or KIND["LABEL"].ATTRIBUTE; the block itself for what it does not have.
func nestedRange(b *hclsyntax.Block, name string) hcl.Range {
	kind, rest, _ := strings.Cut(name, "[")
	for _, in := range b.Body.Blocks {
		if in.Type != kind || len(in.Labels) != 1 {
			continue
		}
		attr, is := strings.CutPrefix(rest, strconv.Quote(in.Labels[0])+"]")
		if a := in.Body.Attributes[strings.TrimPrefix(attr, ".")]; is && a != nil {
			return a.SrcRange
		}
		if is {
			return in.DefRange()
		}
	}
	return b.DefRange()
}

func rangeOf(r hcl.Range) state.Range {
	return state.Range{
		File: r.Filename,
		Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte,
		EndLine: r.End.Line, EndColumn: r.End.Column, EndByte: r.End.Byte,
	}
}
