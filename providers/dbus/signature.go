package dbus

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/godbus/dbus/v5"
)

// A signature is one complete type as the D-Bus Specification writes it, such as a{sv}. checked makes one.
type signature string

// maxSignature is how long a signature may be, and maxNesting how deep arrays, and structs, may be in it.
const (
	maxSignature = 255
	maxNesting   = 32
)

// checked is s as a signature, if it is one complete type.
func checked(s string) (signature, error) {
	all, err := checkedAll(s)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("%q is not one type of D-Bus", s)
	}
	return all[0], nil
}

// checkedAll are the complete types that s is made of.
func checkedAll(s string) (all []signature, err error) {
	if len(s) > maxSignature {
		return nil, fmt.Errorf("a signature of %d characters is longer than %d", len(s), maxSignature)
	}
	for rest := s; rest != ""; {
		n := complete(rest, 0, 0)
		if n == 0 {
			return nil, fmt.Errorf("%q is no signature of D-Bus", s)
		}
		all, rest = append(all, signature(rest[:n])), rest[n:]
	}
	return all, nil
}

// basic are the types that are no containers, and keys those that keys of a dictionary can be: booleans and signatures too, as the
// specification has it, but nobody has such keys, and the library does not carry them.
const (
	basic = "ybnqiuxtdsogh"
	keys  = "ynqiuxtdsoh"
)

// complete is how much of s is its first complete type; 0 where it begins with none.
func complete(s string, arrays, structs int) int {
	if s == "" || arrays > maxNesting || structs > maxNesting {
		return 0
	}
	switch {
	case s[0] == 'v' || strings.IndexByte(basic, s[0]) >= 0:
		return 1
	case strings.HasPrefix(s, "a{"):
		if len(s) < 3 || strings.IndexByte(keys, s[2]) < 0 {
			return 0
		}
		n := complete(s[3:], arrays+1, structs+1)
		if n == 0 || len(s) <= 3+n || s[3+n] != '}' {
			return 0
		}
		return 4 + n
	case s[0] == 'a':
		if n := complete(s[1:], arrays+1, structs); n > 0 {
			return 1 + n
		}
	case s[0] == '(':
		at := 1
		for at < len(s) && s[at] != ')' {
			n := complete(s[at:], arrays, structs+1)
			if n == 0 {
				return 0
			}
			at += n
		}
		if at > 1 && at < len(s) {
			return at + 1
		}
	}
	return 0
}

func (s signature) isDict() bool   { return strings.HasPrefix(string(s), "a{") }
func (s signature) isStruct() bool { return s[0] == '(' }
func (s signature) isArray() bool  { return s[0] == 'a' && !s.isDict() }

// elem is the type of an array's elements.
func (s signature) elem() signature { return s[1:] }

// entry are the types of a dictionary's keys and values.
func (s signature) entry() (key, value signature) { return s[2:3], s[3 : len(s)-1] }

// fields are the types of a struct's fields.
func (s signature) fields() (all []signature) {
	for rest := s[1 : len(s)-1]; rest != ""; {
		n := complete(string(rest), 0, 0)
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// goType is the type whose values the library sends as this signature.
func (s signature) goType() reflect.Type {
	switch {
	case s.isDict():
		k, v := s.entry()
		return reflect.MapOf(k.goType(), v.goType())
	case s.isArray():
		return reflect.SliceOf(s.elem().goType())
	case s.isStruct():
		var fields []reflect.StructField
		for i, f := range s.fields() {
			fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: f.goType()})
		}
		return reflect.StructOf(fields)
	}
	switch s[0] {
	case 'y':
		return reflect.TypeFor[byte]()
	case 'b':
		return reflect.TypeFor[bool]()
	case 'n':
		return reflect.TypeFor[int16]()
	case 'q':
		return reflect.TypeFor[uint16]()
	case 'i':
		return reflect.TypeFor[int32]()
	case 'u':
		return reflect.TypeFor[uint32]()
	case 'x':
		return reflect.TypeFor[int64]()
	case 't':
		return reflect.TypeFor[uint64]()
	case 'd':
		return reflect.TypeFor[float64]()
	case 'o':
		return reflect.TypeFor[dbus.ObjectPath]()
	case 'g':
		return reflect.TypeFor[dbus.Signature]()
	case 'h':
		return reflect.TypeFor[dbus.UnixFDIndex]()
	case 'v':
		return reflect.TypeFor[dbus.Variant]()
	}
	return reflect.TypeFor[string]()
}

// String says what a value of the type is, for people: the signature and what it means.
func (s signature) String() string {
	what := ""
	switch {
	case s.isDict():
		what = "an object"
	case s == "ay":
		what = "bytes: a list of numbers, or a string"
	case s.isArray():
		what = "a list"
	case s.isStruct():
		what = fmt.Sprintf("a list of exactly %d", len(s.fields()))
	}
	switch s[0] {
	case 'y', 'n', 'q', 'i', 'u', 'x', 't':
		low, high := s.limits()
		what = "a whole number from " + low.String() + " to " + high.String()
	case 'b':
		what = "true or false"
	case 'd':
		what = "a number"
	case 's':
		what = "a string"
	case 'o':
		what = "the path of an object, a string such as /org/example"
	case 'g':
		what = "a signature, a string such as a{sv}"
	case 'h':
		what = "a file descriptor, which cannot be written down"
	case 'v':
		what = "any value"
	}
	return string(s) + " (" + what + ")"
}
