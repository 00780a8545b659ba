package dbus

import (
	"reflect"

	"github.com/godbus/dbus/v5"
)

// Values are written as JSON has them. An object with just these two members is a value of a variant whose type is said.
const (
	typeMember  = "$signature"
	valueMember = "$value"
)

// variant makes a variant of a value: of the type that it says, or that is there already, or that suits it.
func (e encoder) variant(x reflect.Value, v any, like any) error {
	s, inner, said, err := e.said(v)
	if err != nil {
		return err
	}
	there, _ := like.(dbus.Variant)
	if t, err := checked(there.Signature().String()); err == nil && (!said || s == t) {
		if one, err := e.encode(inner, t, there.Value()); err == nil {
			x.Set(reflect.ValueOf(dbus.MakeVariantWithSignature(one.Interface(), dbus.ParseSignatureMust(string(t)))))
			return nil
		}
	}
	if !said {
		if s = suits(v); s == "" {
			return e.wrong(v, "v", "")
		}
	}
	one, err := e.encode(inner, s, nil)
	if err != nil {
		return err
	}
	x.Set(reflect.ValueOf(dbus.MakeVariantWithSignature(one.Interface(), dbus.ParseSignatureMust(string(s)))))
	return nil
}

// said is the type that a value of a variant says it has.
func (e encoder) said(v any) (s signature, inner any, said bool, err error) {
	m, ok := v.(map[string]any)
	if !ok || !isTyped(m) {
		return "", v, false, nil
	}
	text, _ := m[typeMember].(string)
	if s, err = checked(text); err != nil {
		return "", v, false, &mismatch{at: e.at + "." + typeMember, wanted: "a signature of one complete type", given: shown(m[typeMember])}
	}
	return s, m[valueMember], true, nil
}

func isTyped(m map[string]any) bool {
	_, typed := m[typeMember]
	_, valued := m[valueMember]
	return len(m) == 2 && typed && valued
}

// suits is the type that suits a value of a variant; empty where none does.
func suits(v any) signature {
	switch v := v.(type) {
	case bool:
		return "b"
	case string:
		return "s"
	case float64:
		for _, s := range []signature{"i", "x", "t"} {
			low, high := s.limits()
			if n, ok := whole(v); ok && n.Cmp(low) >= 0 && n.Cmp(high) <= 0 {
				return s
			}
		}
		return "d"
	case []any:
		for _, each := range v {
			if _, ok := each.(string); !ok {
				return "av"
			}
		}
		if len(v) > 0 {
			return "as"
		}
		return "av"
	case map[string]any:
		return "a{sv}"
	}
	return ""
}
