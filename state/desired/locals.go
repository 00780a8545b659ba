package desired

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// A local is a named expression.
type local struct {
	name  string
	expr  hcl.Expression
	at    hcl.Range
	refs  []*reference
	value cty.Value
}

func (l *loader) takeLocals(b *block) {
	c, diags := open(b.body, nil)
	l.hclDiags(diags)
	for i := range c.blockCount() {
		inner := c.block(i)
		l.errorf(inner.typeRange(), "Unsupported block type", "A locals block holds NAME = EXPRESSION only.")
	}
	for _, name := range c.attrNames() {
		at := c.nameRange(name)
		if !isIdentifier(name) {
			l.errorf(at, "Invalid local name", "%q is no name: it begins with a letter or underscore and has letters, digits, underscores and dashes only.", name)
			continue
		}
		if old := l.locals[name]; old != nil {
			l.duplicate("local value", name, at, old.at)
			continue
		}
		s := &survey{refs: references{}}
		s.expr(c.attr(name))
		l.locals[name] = &local{name, c.attr(name), at, s.refs.list(), failedValue()}
	}
}

// maxLocal bounds the size of a local value, which could otherwise double with each line.
const maxLocal = 64 << 20

func (l *loader) evalLocal(lo *local) {
	v, ok := l.decoder().value(lo.expr, l.scope(lo.refs))
	if !ok {
		return
	}
	if sizeOf(v) > maxLocal {
		l.errorf(lo.expr.Range(), "Value too large", "The local value %q is larger than 64 MiB.", lo.name)
		return
	}
	lo.value = v
}

// sizeOf estimates the bytes in a value.
func sizeOf(v cty.Value) int {
	size := 0
	_ = cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		size += 16
		if v.Type() == cty.String && !v.IsNull() {
			v, _ = v.Unmark()
			size += len(v.AsString())
		}
		return size <= maxLocal, nil
	})
	return size
}

// An output is a named result.
type output struct {
	outputBlock
	at   hcl.Range
	refs []*reference
}

type outputBlock struct {
	Name        string         `hcl:"name,label"`
	Value       hcl.Expression `hcl:"value"`
	Sensitive   bool           `hcl:"sensitive,optional"`
	Description string         `hcl:"description,optional"`
}

func (l *loader) takeOutput(b *block, s *shape) {
	o := &output{at: b.def()}
	sv := &survey{report: l.hclDiags, refs: references{}}
	sv.body(b.body, s.words, b.def())
	for _, r := range sv.refs.list() {
		l.errorf(r.at, "Variables not allowed", "Only the value of an output can refer to anything.")
	}
	l.decoder().block(b, s, nil, reflect.ValueOf(&o.outputBlock).Elem())
	if !l.checkName("output", o.Name, b) || o.Value == nil {
		return
	}
	for _, old := range l.outputs {
		if old.Name == o.Name {
			l.duplicate("output", o.Name, o.at, old.at)
			return
		}
	}
	sv = &survey{refs: references{}}
	sv.expr(o.Value)
	o.refs = sv.refs.list()
	l.outputs = append(l.outputs, o)
}

func (l *loader) evalOutput(o *output) {
	v, ok := l.decoder().value(o.Value, l.scope(o.refs))
	if !ok {
		return
	}
	if v.ContainsMarked() && !o.Sensitive {
		l.errorf(o.Value.Range(), "Output refers to sensitive values", "The value of the output %q is sensitive. Add sensitive = true to the output, or use nonsensitive() on what is no secret.", o.Name)
		return
	}
	v, _ = v.UnmarkDeep()
	value, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		l.errorf(o.Value.Range(), "Invalid output value", "The value of the output %q cannot be written as JSON: %s.", o.Name, err)
		return
	}
	typ, err := ctyjson.MarshalType(v.Type())
	if err != nil {
		l.errorf(o.Value.Range(), "Invalid output value", "The type of the output %q cannot be written as JSON: %s.", o.Name, err)
		return
	}
	l.config.Outputs = append(l.config.Outputs, state.Output{Name: o.Name, Value: value, Type: typ,
		Sensitive: o.Sensitive, Description: o.Description, Source: rangeOf(o.at)})
}
