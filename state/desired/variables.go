package desired

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// A variable is an input variable with the value it got.
type variable struct {
	variableBlock
	at       hcl.Range
	typ      cty.Type
	defaults *typeexpr.Defaults
	refs     []*reference // of its validations
	value    cty.Value    // marked when it is sensitive
	failed   bool
}

type variableBlock struct {
	Name        string            `hcl:"name,label"`
	Type        hcl.Expression    `hcl:"type,optional"`
	Default     hcl.Expression    `hcl:"default,optional"`
	Description string            `hcl:"description,optional"`
	Sensitive   bool              `hcl:"sensitive,optional"`
	Nullable    *bool             `hcl:"nullable,optional"`
	Validation  []validationBlock `hcl:"validation,block"`
}

type validationBlock struct {
	Condition    hcl.Expression `hcl:"condition"`
	ErrorMessage hcl.Expression `hcl:"error_message"`
	site
}

func (l *loader) takeVariable(b *block, s *shape) {
	v := &variable{at: b.def(), typ: cty.DynamicPseudoType, value: failedValue()}
	sv := &survey{report: l.hclDiags, refs: references{}}
	sv.body(b.body, s.words, b.def())
	for _, r := range sv.refs.list() {
		l.errorf(r.at, "Variables not allowed", "The arguments of a variable block, but for its validation, cannot refer to anything.")
	}
	l.decoder().block(b, s, nil, reflect.ValueOf(&v.variableBlock).Elem())
	if !l.checkName("variable", v.Name, b) {
		return
	}
	if old := l.variables[v.Name]; old != nil {
		l.duplicate("variable", v.Name, v.at, old.at)
		return
	}
	l.variables[v.Name] = v
	if v.Type != nil {
		typ, defaults, diags := typeexpr.TypeConstraintWithDefaults(v.Type)
		if l.hclDiags(diags); diags.HasErrors() {
			v.failed = true
		} else {
			v.typ, v.defaults = typ, defaults
		}
	}
	rules := &survey{refs: references{}}
	for _, rule := range v.Validation {
		for _, e := range []hcl.Expression{rule.Condition, rule.ErrorMessage} {
			if e != nil {
				rules.expr(e)
			}
		}
	}
	v.refs = append(v.refs, rules.refs.list()...)
}

// set gives the variable a value: that from outside, or its default. It reports at the place of what is wrong.
func (l *loader) setVariable(v *variable, in *input) {
	if v.failed {
		return
	}
	at, val := rangeOf(v.at), cty.NilVal
	switch {
	case in != nil && in.failed:
		v.failed = true
		return
	case in != nil:
		at, val = in.at, in.value
	}
	notNull := v.Nullable != nil && !*v.Nullable
	if in == nil || val.IsNull() && notNull && v.Default != nil {
		if v.Default == nil {
			v.failed = true
			l.errorf(v.at, "No value for required variable", "The variable %q is not set and has no default. Set it with --var '%s=…', in a *.auto.vars.hcl file, or as OPDBUS_VAR_%s in the environment.", v.Name, v.Name, v.Name)
			return
		}
		at = rangeOf(v.Default.Range())
		d, diags := v.Default.Value(nil)
		if l.hclDiags(diags); diags.HasErrors() {
			v.failed = true
			return
		}
		val = d
	}
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	converted, err := convert.Convert(val, v.typ)
	switch {
	case err != nil:
		v.failed = true
		l.diags.Errorf(at, "Invalid value for input variable", "The value of the variable %q, declared at %s, does not fit its type: %s.", v.Name, l.at(v.at), err)
		return
	case converted.IsNull() && notNull:
		v.failed = true
		l.diags.Errorf(at, "Required variable not set", "The variable %q, declared at %s, must not be null.", v.Name, l.at(v.at))
		return
	}
	v.value = converted
	if v.Sensitive {
		v.value = converted.Mark(sensitive)
	}
}

// validate evaluates the variable's validation blocks.
func (l *loader) validate(v *variable) {
	ctx := l.scope(v.refs)
	for _, rule := range v.Validation {
		if v.failed || rule.Condition == nil || rule.ErrorMessage == nil {
			continue
		}
		d := l.decoder()
		result, ok := d.value(rule.Condition, ctx)
		if !ok {
			v.failed = true
			continue
		}
		result, _ = result.Unmark()
		held, err := convert.Convert(result, cty.Bool)
		if err != nil || held.IsNull() {
			l.errorf(rule.Condition.Range(), "Invalid validation condition", "The condition of a validation is true or false, not %s.", result.Type().FriendlyName())
			v.failed = true
			continue
		}
		if held.True() {
			continue
		}
		v.failed = true
		l.errorf(v.at, "Invalid value for variable", "%s\n\nThis was checked by the validation at %s.", l.validationMessage(&rule, ctx), placeText(rangeOf(rule.def)))
	}
	if v.failed {
		v.value = failedValue()
	}
}

func (l *loader) validationMessage(rule *validationBlock, ctx *hcl.EvalContext) string {
	v, ok := l.decoder().value(rule.ErrorMessage, ctx)
	if !ok {
		return "The condition of its validation is false."
	}
	if v.ContainsMarked() {
		return "The condition of its validation is false; its error_message is sensitive."
	}
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() {
		l.errorf(rule.ErrorMessage.Range(), "Invalid error_message", "The error_message of a validation is a string.")
		return "The condition of its validation is false."
	}
	return s.AsString()
}

// result is the variable as the configuration has it; not ok when it got no value.
func (v *variable) result() (state.Variable, bool) {
	plain, _ := v.value.UnmarkDeep()
	if !plain.IsWhollyKnown() {
		return state.Variable{}, false
	}
	value, err := ctyjson.Marshal(plain, plain.Type())
	if err != nil {
		return state.Variable{}, false
	}
	return state.Variable{Name: v.Name, Value: value, Sensitive: v.Sensitive, Description: v.Description}, true
}

// checkName reports names that expressions could not speak of.
func (l *loader) checkName(what, name string, b *block) bool {
	if isIdentifier(name) {
		return true
	}
	l.errorf(b.def(), "Invalid "+what+" name", "%q is no name: it begins with a letter or underscore and has letters, digits, underscores and dashes only.", name)
	return false
}
