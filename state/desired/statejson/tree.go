package statejson

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A block is one of HCL that is to be written, with the place in the document that it is made from.
type block struct {
	kind       string
	labels     []string
	at         hcl.Range
	attributes []attribute
	blocks     []*block
}

type attribute struct {
	name  string
	at    hcl.Range
	value expression
}

// An expression is a plain value, a list, a map or a reference.
type expression struct {
	at    hcl.Range
	plain cty.Value
	list  []expression // nil: it is no list
	pairs []pair       // nil: it is no map
	steps []string     // of a reference
}

type pair struct {
	key   string
	value expression
}

func (b *block) set(name string, at hcl.Range, value expression) {
	b.attributes = append(b.attributes, attribute{name, at, value})
}

func (b *block) add(kind string, at hcl.Range, labels ...string) *block {
	inner := &block{kind: kind, labels: labels, at: at}
	b.blocks = append(b.blocks, inner)
	return inner
}

func text(at hcl.Range, s string) expression  { return expression{at: at, plain: cty.StringVal(s)} }
func boolean(at hcl.Range, b bool) expression { return expression{at: at, plain: cty.BoolVal(b)} }
func number(at hcl.Range, n int64) expression { return expression{at: at, plain: cty.NumberIntVal(n)} }
func mapping(at hcl.Range, p []pair) expression {
	return expression{at: at, pairs: append([]pair{}, p...)}
}

func list(at hcl.Range, items ...expression) expression {
	return expression{at: at, list: append([]expression{}, items...)}
}

func reference(at hcl.Range, steps ...string) expression { return expression{at: at, steps: steps} }

// textsAt is a list of texts, each with its place.
func textsAt(at hcl.Range, values []value) expression {
	items := make([]expression, len(values))
	for i, v := range values {
		items[i] = text(v.at, v.text)
	}
	return list(at, items...)
}
