package desired

import (
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func sensitiveFunctions() map[string]function.Function {
	param := []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType,
		AllowUnknown: true, AllowNull: true, AllowMarked: true, AllowDynamicType: true}}
	same := func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil }
	return map[string]function.Function{
		"can": tryfunc.CanFunc,
		"try": tryfunc.TryFunc,
		"sensitive": function.New(&function.Spec{Params: param, Type: same,
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(sensitive), nil }}),
		"nonsensitive": function.New(&function.Spec{Params: param, Type: same,
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				v, _ := args[0].UnmarkDeep()
				return v, nil
			}}),
		"issensitive": function.New(&function.Spec{Params: param, Type: function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				return cty.BoolVal(args[0].ContainsMarked()), nil
			}}),
	}
}
