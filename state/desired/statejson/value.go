package statejson

import (
	"math/big"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A sort is which of JSON's values one is.
type sort int

const (
	isNull sort = iota
	isObject
	isList
	isText
	isNumber
	isBool
)

func (s sort) String() string {
	return [...]string{"null", "an object", "a list", "a text", "a number", "true or false"}[s]
}

// A value is one of JSON's, with its place.
type value struct {
	sort    sort
	at      hcl.Range // the whole of a plain value, the bracket that another begins with
	members []member  // in the order in which they are written
	items   []value
	text    string
	number  *big.Float
	truth   bool
}

// A member is a name in an object with its value.
type member struct {
	name  string
	at    hcl.Range // of the name
	value value
}

// span is where the member stands, without the inside of its brackets.
func (m *member) span() hcl.Range { return hcl.RangeBetween(m.at, m.value.at) }

// read makes values of what hcl parsed. Without a context it takes texts as they are, and templates in them are none.
func read(e hcl.Expression) value {
	v := value{at: e.StartRange()}
	if pairs, diags := hcl.ExprMap(e); !diags.HasErrors() {
		v.sort = isObject
		for _, p := range pairs {
			name, _ := p.Key.Value(nil)
			v.members = append(v.members, member{name: name.AsString(), at: p.Key.Range(), value: read(p.Value)})
		}
		return v
	}
	if items, diags := hcl.ExprList(e); !diags.HasErrors() {
		v.sort = isList
		for _, item := range items {
			v.items = append(v.items, read(item))
		}
		return v
	}
	plain, _ := e.Value(nil)
	if !plain.IsKnown() || plain.IsNull() {
		return v
	}
	switch plain.Type() {
	case cty.String:
		v.sort, v.text = isText, plain.AsString()
	case cty.Number:
		v.sort, v.number = isNumber, plain.AsBigFloat()
	case cty.Bool:
		v.sort, v.truth = isBool, plain.True()
	}
	return v
}
