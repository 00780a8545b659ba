package desired

import (
	"errors"
	"fmt"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func collectionFunctions() map[string]function.Function {
	return map[string]function.Function{
		"alltrue":         truthFunction(true),
		"anytrue":         truthFunction(false),
		"chunklist":       stdlib.ChunklistFunc,
		"coalesce":        coalesceFunction(),
		"coalescelist":    stdlib.CoalesceListFunc,
		"compact":         stdlib.CompactFunc,
		"concat":          stdlib.ConcatFunc,
		"contains":        stdlib.ContainsFunc,
		"distinct":        stdlib.DistinctFunc,
		"element":         stdlib.ElementFunc,
		"flatten":         stdlib.FlattenFunc,
		"index":           indexFunction(),
		"keys":            stdlib.KeysFunc,
		"length":          lengthFunction(),
		"lookup":          stdlib.LookupFunc,
		"matchkeys":       matchkeysFunction(),
		"merge":           stdlib.MergeFunc,
		"one":             oneFunction(),
		"reverse":         stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc,
		"setproduct":      boundedSetProduct(),
		"setsubtract":     stdlib.SetSubtractFunc,
		"setunion":        stdlib.SetUnionFunc,
		"slice":           stdlib.SliceFunc,
		"sort":            stdlib.SortFunc,
		"transpose":       transposeFunction(),
		"values":          stdlib.ValuesFunc,
		"zipmap":          stdlib.ZipmapFunc,
	}
}

func dynamicParam(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType}
}

// elements iterates over a list, set or tuple; an error when it is none.
func elements(v cty.Value) ([]cty.Value, error) {
	t := v.Type()
	if !t.IsListType() && !t.IsSetType() && !t.IsTupleType() {
		return nil, errors.New("a list, set or tuple is required")
	}
	return v.AsValueSlice(), nil
}

// truthFunction says whether all of a list are true, or any is.
func truthFunction(all bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for it := args[0].ElementIterator(); it.Next(); {
				if _, v := it.Element(); (!v.IsNull() && v.True()) != all {
					return cty.BoolVal(!all), nil
				}
			}
			return cty.BoolVal(all), nil
		},
	})
}

// coalesceFunction is the first argument that is neither null nor, for strings, empty.
func coalesceFunction() function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "vals", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowDynamicType: true, AllowNull: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			types := make([]cty.Type, len(args))
			for i, a := range args {
				types[i] = a.Type()
			}
			t, _ := convert.UnifyUnsafe(types)
			if t == cty.NilType {
				return t, errors.New("all arguments must have the same type")
			}
			return t, nil
		},
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			for _, a := range args {
				if a.IsNull() {
					continue
				}
				v, err := convert.Convert(a, t)
				if err != nil {
					return cty.UnknownVal(t), err
				}
				if !v.IsKnown() {
					return cty.UnknownVal(t), nil
				}
				if v.Type() != cty.String || v.AsString() != "" {
					return v, nil
				}
			}
			return cty.NilVal, errors.New("no argument is set: all are null or empty strings")
		},
	})
}

func indexFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{dynamicParam("list"), dynamicParam("value")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			if args[0].Type().IsSetType() {
				return cty.UnknownVal(t), errors.New("the elements of a set have no index")
			}
			list, err := elements(args[0])
			if err != nil {
				return cty.UnknownVal(t), err
			}
			for i, e := range list {
				if eq, err := stdlib.Equal(e, args[1]); err == nil && eq.IsKnown() && eq.True() {
					return cty.NumberIntVal(int64(i)), nil
				}
			}
			return cty.UnknownVal(t), errors.New("the list has no such element")
		},
	})
}

// lengthFunction is the length of a collection or, in characters, of a string.
func lengthFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{dynamicParam("value")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			switch v := args[0]; {
			case v.Type() == cty.String:
				return stdlib.Strlen(v)
			case v.CanIterateElements():
				return cty.NumberIntVal(int64(v.LengthInt())), nil
			}
			return cty.UnknownVal(t), errors.New("a list, set, map, tuple, object or string is required")
		},
	})
}

func matchkeysFunction() function.Function {
	list := cty.List(cty.DynamicPseudoType)
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "values", Type: list}, {Name: "keys", Type: list}, {Name: "searchset", Type: list}},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			values, keys, wanted := args[0].AsValueSlice(), args[1].AsValueSlice(), args[2].AsValueSlice()
			if len(values) != len(keys) {
				return cty.UnknownVal(t), errors.New("values and keys must have the same length")
			}
			var found []cty.Value
			for i, k := range keys {
				for _, w := range wanted {
					if eq, err := stdlib.Equal(k, w); err == nil && eq.IsKnown() && eq.True() {
						found = append(found, values[i])
						break
					}
				}
			}
			if len(found) == 0 {
				return cty.ListValEmpty(t.ElementType()), nil
			}
			return cty.ListVal(found), nil
		},
	})
}

// oneFunction is the only element of a list, or null when there is none.
func oneFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{dynamicParam("list")},
		Type: func(args []cty.Value) (cty.Type, error) {
			t := args[0].Type()
			switch {
			case t.IsListType() || t.IsSetType():
				return t.ElementType(), nil
			case t.IsTupleType() && len(t.TupleElementTypes()) == 1:
				return t.TupleElementType(0), nil
			case t.IsTupleType() && len(t.TupleElementTypes()) == 0:
				return cty.DynamicPseudoType, nil
			}
			return cty.NilType, errors.New("a list, set or tuple with at most one element is required")
		},
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			list, err := elements(args[0])
			switch {
			case err != nil:
				return cty.UnknownVal(t), err
			case len(list) == 0:
				return cty.NullVal(t), nil
			case len(list) > 1:
				return cty.UnknownVal(t), fmt.Errorf("at most one element is allowed, not %d", len(list))
			}
			return list[0], nil
		},
	})
}

// maxProduct bounds the tuples of a product, which otherwise grows with the power of the number of its arguments.
const maxProduct = 1_000_000

func boundedSetProduct() function.Function {
	f := stdlib.SetProductFunc
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "sets", Type: cty.DynamicPseudoType, AllowMarked: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			n := 1
			for _, a := range args {
				if a, _ = a.Unmark(); a.IsKnown() && !a.IsNull() && a.CanIterateElements() {
					n *= a.LengthInt()
				}
				if n > maxProduct {
					return cty.NilType, errors.New("the product has more than a million elements")
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

func sumFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{dynamicParam("list")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			list, err := elements(args[0])
			if err != nil {
				return cty.UnknownVal(t), err
			}
			if len(list) == 0 {
				return cty.UnknownVal(t), errors.New("a sum needs at least one number")
			}
			sum := cty.Zero
			for _, e := range list {
				n, err := convert.Convert(e, cty.Number)
				if err != nil || n.IsNull() {
					return cty.UnknownVal(t), errors.New("all elements must be numbers")
				}
				sum = sum.Add(n)
			}
			return sum, nil
		},
	})
}

func transposeFunction() function.Function {
	t := cty.Map(cty.List(cty.String))
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "values", Type: t}},
		Type:   function.StaticReturnType(t),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			lists := map[string][]cty.Value{}
			for it := args[0].ElementIterator(); it.Next(); {
				key, list := it.Element()
				if list.IsNull() {
					return cty.UnknownVal(t), errors.New("a list must not be null")
				}
				for _, e := range list.AsValueSlice() {
					if e.IsNull() {
						return cty.UnknownVal(t), errors.New("an element must not be null")
					}
					lists[e.AsString()] = append(lists[e.AsString()], key)
				}
			}
			if len(lists) == 0 {
				return cty.MapValEmpty(cty.List(cty.String)), nil
			}
			out := map[string]cty.Value{}
			for key, list := range lists {
				out[key] = cty.ListVal(list)
			}
			return cty.MapVal(out), nil
		},
	})
}

func timecmpFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("a"), stringParam("b")},
		Type:   function.StaticReturnType(cty.Number),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			var at [2]time.Time
			for i, a := range args {
				parsed, err := time.Parse(time.RFC3339, a.AsString())
				if err != nil {
					return cty.UnknownVal(t), function.NewArgErrorf(i, "%q is no time as RFC 3339 writes it", a.AsString())
				}
				at[i] = parsed
			}
			return cty.NumberIntVal(int64(at[0].Compare(at[1]))), nil
		},
	})
}
