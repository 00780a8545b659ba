package desired

import (
	"fmt"
	"math"
	"math/big"
	"reflect"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A codec carries an argument's value between cty and a struct's field. It sees neither null, unknown nor marked values.
type codec struct {
	want   cty.Type
	decode func(field reflect.Value, v cty.Value) error
	encode func(field reflect.Value) cty.Value
}

// set converts a value as Terraform does and puts it into the field.
func (c codec) set(field reflect.Value, v cty.Value) error {
	v, err := convert.Convert(v, c.want)
	if err != nil {
		return err
	}
	return c.decode(field, v)
}

// codecFor finds the codec of a field's type; a type that has none is a mistake of the program.
func codecFor(t reflect.Type) codec {
	switch {
	case t.Kind() == reflect.Pointer:
		return pointerTo(codecFor(t.Elem()))
	case t.Kind() == reflect.String:
		return codec{cty.String,
			func(f reflect.Value, v cty.Value) error { f.SetString(v.AsString()); return nil },
			func(f reflect.Value) cty.Value { return cty.StringVal(f.String()) }}
	case t.Kind() == reflect.Bool:
		return codec{cty.Bool,
			func(f reflect.Value, v cty.Value) error { f.SetBool(v.True()); return nil },
			func(f reflect.Value) cty.Value { return cty.BoolVal(f.Bool()) }}
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return codec{cty.Number, decodeInt, func(f reflect.Value) cty.Value { return cty.NumberIntVal(f.Int()) }}
	case t.Kind() == reflect.Float64:
		return codec{cty.Number, decodeFloat, func(f reflect.Value) cty.Value { return cty.NumberFloatVal(f.Float()) }}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return codec{cty.List(cty.String), decodeList, encodeList}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Int:
		return codec{cty.List(cty.Number), decodeInts, encodeInts}
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		return codec{cty.Map(cty.String), decodeMap, encodeMap}
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		return codec{cty.DynamicPseudoType, decodeAny, encodeAny}
	}
	panic(fmt.Sprintf("no argument can be held by a %s", t))
}

func pointerTo(c codec) codec {
	return codec{c.want,
		func(f reflect.Value, v cty.Value) error {
			p := reflect.New(f.Type().Elem())
			if err := c.decode(p.Elem(), v); err != nil {
				return err
			}
			f.Set(p)
			return nil
		},
		func(f reflect.Value) cty.Value {
			if f.IsNil() {
				return cty.NullVal(c.want)
			}
			return c.encode(f.Elem())
		}}
}

func decodeInt(f reflect.Value, v cty.Value) error {
	n := v.AsBigFloat()
	i, accuracy := n.Int64()
	if accuracy != big.Exact {
		if n.IsInt() {
			return fmt.Errorf("the number is too large")
		}
		return fmt.Errorf("a whole number is required")
	}
	if f.OverflowInt(i) {
		return fmt.Errorf("the number is too large")
	}
	f.SetInt(i)
	return nil
}

func decodeFloat(f reflect.Value, v cty.Value) error {
	n, _ := v.AsBigFloat().Float64()
	if math.IsInf(n, 0) {
		return fmt.Errorf("the number is too large")
	}
	f.SetFloat(n)
	return nil
}

func decodeList(f reflect.Value, v cty.Value) error {
	n := v.LengthInt()
	list := reflect.MakeSlice(f.Type(), n, n)
	for i, it := 0, v.ElementIterator(); it.Next(); i++ {
		_, e := it.Element()
		if e.IsNull() {
			return fmt.Errorf("element %d must not be null", i)
		}
		list.Index(i).SetString(e.AsString())
	}
	f.Set(list)
	return nil
}

func encodeList(f reflect.Value) cty.Value {
	if f.IsNil() {
		return cty.NullVal(cty.List(cty.String))
	}
	if f.Len() == 0 {
		return cty.ListValEmpty(cty.String)
	}
	list := make([]cty.Value, f.Len())
	for i := range list {
		list[i] = cty.StringVal(f.Index(i).String())
	}
	return cty.ListVal(list)
}

func decodeInts(f reflect.Value, v cty.Value) error {
	n := v.LengthInt()
	list := reflect.MakeSlice(f.Type(), n, n)
	for i, it := 0, v.ElementIterator(); it.Next(); i++ {
		_, e := it.Element()
		if e.IsNull() {
			return fmt.Errorf("element %d must not be null", i)
		}
		if err := decodeInt(list.Index(i), e); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	f.Set(list)
	return nil
}

func encodeInts(f reflect.Value) cty.Value {
	switch {
	case f.IsNil():
		return cty.NullVal(cty.List(cty.Number))
	case f.Len() == 0:
		return cty.ListValEmpty(cty.Number)
	}
	list := make([]cty.Value, f.Len())
	for i := range list {
		list[i] = cty.NumberIntVal(f.Index(i).Int())
	}
	return cty.ListVal(list)
}

func decodeMap(f reflect.Value, v cty.Value) error {
	m := reflect.MakeMapWithSize(f.Type(), v.LengthInt())
	key, elem := f.Type().Key(), f.Type().Elem()
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if e.IsNull() {
			return fmt.Errorf("element %q must not be null", k.AsString())
		}
		m.SetMapIndex(reflect.ValueOf(k.AsString()).Convert(key), reflect.ValueOf(e.AsString()).Convert(elem))
	}
	f.Set(m)
	return nil
}

func encodeMap(f reflect.Value) cty.Value {
	if f.IsNil() {
		return cty.NullVal(cty.Map(cty.String))
	}
	if f.Len() == 0 {
		return cty.MapValEmpty(cty.String)
	}
	m := make(map[string]cty.Value, f.Len())
	for it := f.MapRange(); it.Next(); {
		m[it.Key().String()] = cty.StringVal(it.Value().String())
	}
	return cty.MapVal(m)
}
