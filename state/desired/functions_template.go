package desired

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// withTemplates adds the functions that evaluate templates. Inside a template the same functions are known but these, so
// that none can call itself.
func (l *loader) withTemplates(table map[string]function.Function) map[string]function.Function {
	inside := maps.Clone(table)
	for _, name := range []string{"templatefile", "templatestring"} {
		inside[name] = function.New(&function.Spec{
			VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType},
			Type: func([]cty.Value) (cty.Type, error) {
				return cty.NilType, errors.New("a template cannot evaluate another template")
			},
			Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.DynamicVal, nil },
		})
	}
	table["templatefile"] = templateFunction("path", func(name string) (string, string, error) {
		text, err := l.fileText(name)
		return text, name, err
	}, inside)
	table["templatestring"] = templateFunction("template", func(text string) (string, string, error) {
		return text, "the template", nil
	}, inside)
	return table
}

// templateFunction makes a function that evaluates a template, found by its first argument, with the variables in the second.
func templateFunction(first string, find func(arg string) (text, name string, err error), inside map[string]function.Function) function.Function {
	render := func(args []cty.Value) (cty.Value, error) {
		text, name, err := find(args[0].AsString())
		if err != nil {
			return cty.DynamicVal, function.NewArgError(0, err)
		}
		vars, err := templateVars(args[1])
		if err != nil {
			return cty.DynamicVal, function.NewArgError(1, err)
		}
		if _, deep := tooDeep([]byte(text)); deep {
			return cty.DynamicVal, function.NewArgErrorf(0, "%s nests too deeply", name)
		}
		expr, diags := hclsyntax.ParseTemplate([]byte(text), name, hcl.InitialPos)
		if diags.HasErrors() {
			return cty.DynamicVal, oneError(diags)
		}
		for _, t := range expr.Variables() {
			if _, ok := vars[t.RootName()]; !ok {
				return cty.DynamicVal, function.NewArgErrorf(1, "there is no variable %q, which is used at %s", t.RootName(), placeText(rangeOf(t.SourceRange())))
			}
		}
		v, diags := expr.Value(&hcl.EvalContext{Variables: vars, Functions: inside})
		if diags.HasErrors() {
			return cty.DynamicVal, oneError(diags)
		}
		return v, nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam(first), {Name: "vars", Type: cty.DynamicPseudoType, AllowMarked: true}},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[1].IsWhollyKnown() {
				return cty.DynamicVal, nil
			}
			return render(args)
		},
	})
}

// oneError is the first of a template's errors, for the inside of a message.
func oneError(diags hcl.Diagnostics) error {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			return fmt.Errorf("%s: %s: %s", placeText(rangeOf(*d.Subject)), d.Summary, strings.TrimSuffix(d.Detail, "."))
		}
	}
	return diags
}

func templateVars(v cty.Value) (map[string]cty.Value, error) {
	v, marks := v.Unmark()
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return nil, errors.New("the variables are a map or an object")
	}
	vars := map[string]cty.Value{}
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if name := key.AsString(); !hclsyntax.ValidIdentifier(name) {
			return nil, fmt.Errorf("%q is no name for a variable", name)
		}
		vars[key.AsString()] = value.WithMarks(marks)
	}
	return vars, nil
}
