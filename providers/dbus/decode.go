package dbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

// exact is the largest whole number that every reader of JSON keeps.
const exact = 1 << 53

// decodeVariant is what a variant holds as JSON has it. That of no variant at all, the zero one, is an error.
func decodeVariant(v dbus.Variant) (any, error) {
	s, err := checked(v.Signature().String())
	if err != nil {
		return nil, errors.New("a variant without a value")
	}
	return decode(v.Value(), s)
}

// decode makes of a value of a signature, as it came over the bus or as encode made it, one as JSON has it: nil, bool, float64,
// string, []any, map[string]any. Whole numbers beyond 2^53 are strings, and so are NaN and the infinities; bytes are a string where
// they are printable text; what a variant holds says its type by $signature where it would be taken for another one.
func decode(v any, s signature) (any, error) { return decodeAt(reflect.ValueOf(v), s, 0) }

func decodeAt(v reflect.Value, s signature, depth int) (any, error) {
	if v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || depth > 2*maxContainers {
		return nil, fmt.Errorf("no value of %s", s)
	}
	depth++
	switch {
	case s.isDict():
		return decodeDict(v, s, depth)
	case s.isArray() || s.isStruct():
		return decodeList(v, s, depth)
	}
	switch s[0] {
	case 'b':
		if v.Kind() == reflect.Bool {
			return v.Bool(), nil
		}
	case 'd':
		if v.Kind() == reflect.Float64 {
			if n := v.Float(); !math.IsNaN(n) && !math.IsInf(n, 0) {
				return n, nil
			}
			return doubleText(v.Float()), nil
		}
	case 's', 'o':
		if v.Kind() == reflect.String {
			return v.String(), nil
		}
	case 'g':
		if g, ok := v.Interface().(dbus.Signature); ok {
			return g.String(), nil
		}
	case 'v':
		if x, ok := v.Interface().(dbus.Variant); ok {
			return decodeInner(x, depth)
		}
	case 'h':
		return nil, errors.New("a file descriptor cannot be written down")
	default:
		switch {
		case v.CanInt():
			if n := v.Int(); n >= -exact && n <= exact {
				return float64(n), nil
			}
			return strconv.FormatInt(v.Int(), 10), nil
		case v.CanUint():
			if n := v.Uint(); n <= exact {
				return float64(n), nil
			}
			return strconv.FormatUint(v.Uint(), 10), nil
		}
	}
	return nil, fmt.Errorf("a %s is no value of %s", v.Type(), s)
}

// decodeInner is a variant's value, with its type where that does not follow from the value.
func decodeInner(x dbus.Variant, depth int) (any, error) {
	s, err := checked(x.Signature().String())
	if err != nil {
		return nil, errors.New("a variant without a value")
	}
	inner, err := decodeAt(reflect.ValueOf(x.Value()), s, depth)
	if err != nil {
		return nil, err
	}
	if m, ok := inner.(map[string]any); suits(inner) == s && !(ok && isTyped(m)) {
		return inner, nil
	}
	return map[string]any{typeMember: string(s), valueMember: inner}, nil
}

func decodeList(v reflect.Value, s signature, depth int) (any, error) {
	var n int
	at := v.Index
	types := func(int) signature { return s.elem() }
	if s.isStruct() {
		fields := s.fields()
		types = func(i int) signature { return fields[i] }
		if v.Kind() == reflect.Struct {
			n, at = v.NumField(), v.Field
		} else if v.Kind() == reflect.Slice {
			n = v.Len()
		}
		if n != len(fields) {
			return nil, fmt.Errorf("a %s is no value of %s", v.Type(), s)
		}
	} else {
		if v.Kind() != reflect.Slice {
			return nil, fmt.Errorf("a %s is no value of %s", v.Type(), s)
		}
		n = v.Len()
	}
	if bytes, ok := v.Interface().([]byte); ok && s == "ay" && isText(bytes) {
		return string(bytes), nil
	}
	list := make([]any, n)
	for i := range n {
		var err error
		if list[i], err = decodeAt(at(i), types(i), depth); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// isText says whether bytes are read best as text.
func isText(b []byte) bool {
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
		rest = rest[n:]
	}
	return len(b) > 0
}

func decodeDict(v reflect.Value, s signature, depth int) (any, error) {
	if v.Kind() != reflect.Map {
		return nil, fmt.Errorf("a %s is no value of %s", v.Type(), s)
	}
	key, value := s.entry()
	m := make(map[string]any, v.Len())
	for it := v.MapRange(); it.Next(); {
		k, err := decodeAt(it.Key(), key, depth)
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			text, err := json.Marshal(k)
			if err != nil {
				return nil, err
			}
			name = string(text)
		}
		if m[name], err = decodeAt(it.Value(), value, depth); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// equal says whether two values as JSON has them are the same.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }
