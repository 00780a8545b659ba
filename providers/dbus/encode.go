package dbus

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

// maxContainers is how deep containers, variants among them, may be in one another: the bus carries 64, those of the message included.
const maxContainers = 60

// encode makes of a value as JSON has it one that the library sends as the signature. What a variant holds is what $signature
// says; else, where that is possible, what is in the same place of like, which is a value of the signature that came over the bus,
// or nil; else what suits the value.
func encode(v any, s signature, like any) (any, error) {
	e := encoder{}
	x, err := e.encode(v, s, like)
	if err != nil {
		return nil, err
	}
	return x.Interface(), nil
}

// An encoder knows where it is.
type encoder struct {
	at    string
	depth int // how many containers it is in
}

func (e encoder) below(format string, args ...any) encoder {
	e.at += fmt.Sprintf(format, args...)
	return e
}

func (e encoder) wrong(v any, s signature, why string) error {
	return &mismatch{at: e.at, wanted: s.String(), given: shown(v), why: why}
}

func (e encoder) encode(v any, s signature, like any) (reflect.Value, error) {
	x := reflect.New(s.goType()).Elem()
	var err error
	if strings.IndexByte(basic, s[0]) < 0 {
		if e.depth++; e.depth > maxContainers {
			return x, e.wrong(v, s, "it is in too many others")
		}
	}
	switch {
	case s.isDict():
		err = e.dict(x, v, s, like)
	case s.isArray():
		err = e.array(x, v, s, like)
	case s.isStruct():
		err = e.structure(x, v, s, like)
	case s == "v":
		err = e.variant(x, v, like)
	default:
		err = e.basic(x, v, s)
	}
	return x, err
}

func (e encoder) basic(x reflect.Value, v any, s signature) error {
	text, isText := v.(string)
	switch s[0] {
	case 'b':
		b, ok := v.(bool)
		if !ok {
			return e.wrong(v, s, "")
		}
		x.SetBool(b)
	case 'd':
		n, ok := double(v)
		if !ok {
			return e.wrong(v, s, "")
		}
		x.SetFloat(n)
	case 's':
		if !isText {
			return e.wrong(v, s, "")
		}
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return e.wrong(v, s, "a string of D-Bus is UTF-8 without a zero byte")
		}
		x.SetString(text)
	case 'o':
		if !isText || !dbus.ObjectPath(text).IsValid() {
			return e.wrong(v, s, "")
		}
		x.SetString(text)
	case 'g':
		if !isText {
			return e.wrong(v, s, "")
		}
		if _, err := checkedAll(text); err != nil {
			return e.wrong(v, s, "")
		}
		x.Set(reflect.ValueOf(dbus.ParseSignatureMust(text)))
	case 'h':
		return e.wrong(v, s, "")
	default:
		n, ok := whole(v)
		low, high := s.limits()
		switch {
		case !ok:
			return e.wrong(v, s, "")
		case n.Cmp(low) < 0 || n.Cmp(high) > 0:
			return &mismatch{at: e.at, wanted: s.String(), given: n.String()}
		}
		if x.CanInt() {
			x.SetInt(n.Int64())
		} else {
			x.SetUint(n.Uint64())
		}
	}
	return nil
}

// limits are the smallest and the largest number of a type of whole numbers.
func (s signature) limits() (low, high *big.Int) {
	bits, signed := uint(8), false
	switch s[0] {
	case 'n', 'q':
		bits, signed = 16, s[0] == 'n'
	case 'i', 'u':
		bits, signed = 32, s[0] == 'i'
	case 'x', 't':
		bits, signed = 64, s[0] == 'x'
	}
	low, high, one := big.NewInt(0), big.NewInt(1), big.NewInt(1)
	if !signed {
		return low, high.Sub(high.Lsh(high, bits), one)
	}
	high.Lsh(high, bits-1)
	return low.Neg(high), new(big.Int).Sub(high, one)
}

// whole is a whole number, which may be written as a string since JSON's readers keep 53 bits of one only.
func whole(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<64 {
			return nil, false
		}
		n, _ := big.NewFloat(v).Int(nil)
		return n, true
	case string:
		if v == "" || len(v) > 20 || strings.Trim(v, "-0123456789") != "" {
			return nil, false
		}
		return new(big.Int).SetString(v, 10)
	}
	return nil, false
}

// double is a number; those that JSON does not have are strings.
func double(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		for _, n := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if v == doubleText(n) {
				return n, true
			}
		}
	}
	return 0, false
}

func doubleText(n float64) string {
	switch {
	case math.IsNaN(n):
		return "NaN"
	case n > 0:
		return "Infinity"
	}
	return "-Infinity"
}

func (e encoder) array(x reflect.Value, v any, s signature, like any) error {
	if text, ok := v.(string); ok && s == "ay" {
		x.SetBytes([]byte(text))
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return e.wrong(v, s, "")
	}
	x.Set(reflect.MakeSlice(x.Type(), 0, len(list)))
	for i, each := range list {
		one, err := e.below("[%d]", i).encode(each, s.elem(), element(like, i))
		if err != nil {
			return err
		}
		x.Set(reflect.Append(x, one))
	}
	return nil
}

func (e encoder) structure(x reflect.Value, v any, s signature, like any) error {
	list, ok := v.([]any)
	fields := s.fields()
	if !ok || len(list) != len(fields) {
		return e.wrong(v, s, "")
	}
	for i, f := range fields {
		one, err := e.below("[%d]", i).encode(list[i], f, element(like, i))
		if err != nil {
			return err
		}
		x.Field(i).Set(one)
	}
	return nil
}

func (e encoder) dict(x reflect.Value, v any, s signature, like any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return e.wrong(v, s, "")
	}
	key, value := s.entry()
	x.Set(reflect.MakeMapWithSize(x.Type(), len(m)))
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		k, err := e.below(".%s", name).encode(keyValue(name, key), key, nil)
		if err != nil {
			return err
		}
		if x.MapIndex(k).IsValid() {
			return e.wrong(v, s, fmt.Sprintf("the key %s is there twice", name))
		}
		one, err := e.below(".%s", name).encode(m[name], value, entry(like, k))
		if err != nil {
			return err
		}
		x.SetMapIndex(k, one)
	}
	return nil
}

// keyValue is a key, which JSON has as a string, as a value of its type has it.
func keyValue(name string, key signature) any {
	var n float64
	if key == "d" && json.Unmarshal([]byte(name), &n) == nil {
		return n
	}
	return name
}

// element is what came over the bus as element i of a list or field i of a struct; nil where there was none.
func element(like any, i int) any {
	l := reflect.ValueOf(like)
	if l.IsValid() && l.Kind() == reflect.Slice && i < l.Len() {
		return l.Index(i).Interface()
	}
	return nil
}

// entry is what came over the bus under a key; nil where nothing did.
func entry(like any, key reflect.Value) any {
	l := reflect.ValueOf(like)
	if !l.IsValid() || l.Kind() != reflect.Map || l.Type().Key() != key.Type() {
		return nil
	}
	if v := l.MapIndex(key); v.IsValid() {
		return v.Interface()
	}
	return nil
}
