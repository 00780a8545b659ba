package statejson

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// write is the blocks as text, formatted; never nil.
func write(blocks []*block) []byte {
	f := hclwrite.NewEmptyFile()
	writeBlocks(f.Body(), blocks, false)
	return append([]byte{}, hclwrite.Format(f.Bytes())...)
}

func writeBlocks(body *hclwrite.Body, blocks []*block, after bool) {
	for _, b := range blocks {
		if after {
			body.AppendNewline()
		}
		after = true
		inner := body.AppendNewBlock(b.kind, b.labels).Body()
		for _, a := range b.attributes {
			inner.SetAttributeRaw(a.name, a.value.tokens())
		}
		writeBlocks(inner, b.blocks, len(b.attributes) > 0)
	}
}

func (e expression) tokens() hclwrite.Tokens {
	switch {
	case e.list != nil:
		items := make([]hclwrite.Tokens, len(e.list))
		for i, item := range e.list {
			items[i] = item.tokens()
		}
		return hclwrite.TokensForTuple(items)
	case e.pairs != nil:
		pairs := make([]hclwrite.ObjectAttrTokens, len(e.pairs))
		for i, p := range e.pairs {
			name := text(hcl.Range{}, p.key).tokens()
			if hclsyntax.ValidIdentifier(p.key) {
				name = hclwrite.TokensForIdentifier(p.key)
			}
			pairs[i] = hclwrite.ObjectAttrTokens{Name: name, Value: p.value.tokens()}
		}
		return hclwrite.TokensForObject(pairs)
	case e.steps != nil:
		var t hcl.Traversal
		for i, step := range e.steps {
			if i == 0 {
				t = append(t, hcl.TraverseRoot{Name: step})
			} else {
				t = append(t, hcl.TraverseAttr{Name: step})
			}
		}
		return hclwrite.TokensForTraversal(t)
	}
	return hclwrite.TokensForValue(e.plain)
}
