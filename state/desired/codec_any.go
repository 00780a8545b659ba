package desired

import (
	"fmt"
	"math/big"
	"reflect"

	"github.com/zclconf/go-cty/cty"
)

// decodeAny puts a value into a field of type any as encoding/json would, so that it is the same after a round through
// the ledger: nil, bool, float64, string, []any, map[string]any.
func decodeAny(f reflect.Value, v cty.Value) error {
	x, err := plain(v)
	if err != nil {
		return err
	}
	f.Set(reflect.ValueOf(x))
	return nil
}

func plain(v cty.Value) (any, error) {
	t := v.Type()
	switch {
	case v.IsNull():
		return nil, nil
	case t == cty.String:
		return v.AsString(), nil
	case t == cty.Bool:
		return v.True(), nil
	case t == cty.Number:
		n := v.AsBigFloat()
		x, accuracy := n.Float64()
		if accuracy != big.Exact && n.IsInt() {
			return nil, fmt.Errorf("the number %s has more digits than can be kept; write it as a string", n.Text('f', 0))
		}
		return x, nil
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		list := make([]any, 0, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			x, err := plain(e)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	case t.IsMapType(), t.IsObjectType():
		m := make(map[string]any, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			x, err := plain(e)
			if err != nil {
				return nil, err
			}
			m[k.AsString()] = x
		}
		return m, nil
	}
	return nil, fmt.Errorf("a value like JSON's is required, not %s", t.FriendlyName())
}

func encodeAny(f reflect.Value) cty.Value {
	if f.IsNil() {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return fancy(f.Interface())
}

// fancy is plain turned round.
func fancy(x any) cty.Value {
	switch x := x.(type) {
	case string:
		return cty.StringVal(x)
	case bool:
		return cty.BoolVal(x)
	case float64:
		return cty.NumberFloatVal(x)
	case []any:
		list := make([]cty.Value, len(x))
		for i, e := range x {
			list[i] = fancy(e)
		}
		return cty.TupleVal(list)
	case map[string]any:
		m := make(map[string]cty.Value, len(x))
		for k, e := range x {
			m[k] = fancy(e)
		}
		return cty.ObjectVal(m)
	}
	return cty.NullVal(cty.DynamicPseudoType)
}
