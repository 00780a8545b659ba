package desired

import (
	"errors"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func stringFunctions() map[string]function.Function {
	return map[string]function.Function{
		"chomp":       stdlib.ChompFunc,
		"endswith":    testFunction("suffix", strings.HasSuffix),
		"format":      boundedFormat(stdlib.FormatFunc),
		"formatlist":  boundedFormat(stdlib.FormatListFunc),
		"indent":      boundedIndent(),
		"join":        stdlib.JoinFunc,
		"lower":       stdlib.LowerFunc,
		"regex":       stdlib.RegexFunc,
		"regexall":    stdlib.RegexAllFunc,
		"replace":     replaceFunction(),
		"split":       stdlib.SplitFunc,
		"startswith":  testFunction("prefix", strings.HasPrefix),
		"strcontains": testFunction("substr", strings.Contains),
		"strrev":      stdlib.ReverseFunc,
		"substr":      stdlib.SubstrFunc,
		"title":       stdlib.TitleFunc,
		"trim":        stdlib.TrimFunc,
		"trimprefix":  stdlib.TrimPrefixFunc,
		"trimspace":   stdlib.TrimSpaceFunc,
		"trimsuffix":  stdlib.TrimSuffixFunc,
		"upper":       stdlib.UpperFunc,
	}
}

func stringParam(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.String}
}

// testFunction makes a function of two strings that is true or false.
func testFunction(second string, test func(s, t string) bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("str"), stringParam(second)},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(test(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// textFunction makes a function of one string to another.
func textFunction(name string, f func(s string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam(name)},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s, err := f(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(s), nil
		},
	})
}

// replaceFunction replaces text, or what a regular expression in slashes matches.
func replaceFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("str"), stringParam("substr"), stringParam("replace")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			str, old, with := args[0].AsString(), args[1].AsString(), args[2].AsString()
			if (len(str)+1)*len(with) > maxLocal {
				return cty.UnknownVal(cty.String), errors.New("the result would be larger than 64 MiB")
			}
			if len(old) > 1 && strings.HasPrefix(old, "/") && strings.HasSuffix(old, "/") {
				return stdlib.RegexReplace(args[0], cty.StringVal(old[1:len(old)-1]), args[2])
			}
			return stdlib.Replace(args[0], args[1], args[2])
		},
	})
}

// boundedFormat refuses widths and precisions that only fill memory.
func boundedFormat(f function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "format", Type: cty.String, AllowMarked: true}},
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType,
			AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true},
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := checkWidths(args); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

// checkWidths looks for a run of more than four digits in the format and for large numbers, which * would take for a width.
func checkWidths(args []cty.Value) error {
	format, _ := args[0].Unmark()
	if !format.IsKnown() || format.IsNull() {
		return nil
	}
	verb, digits := false, 0
	for _, c := range format.AsString() {
		switch {
		case c == '%':
			verb, digits = !verb, 0
		case verb && c >= '0' && c <= '9':
			if digits++; digits > 4 {
				return errors.New("the width is too large")
			}
		case verb && (c == '.' || c == '[' || c == ']' || strings.ContainsRune(" +-#", c)):
			digits = 0
		case verb && c == '*':
			return errors.New("a width cannot be taken from an argument; write it into the format")
		default:
			verb = false
		}
	}
	return nil
}

// boundedIndent is stdlib's with a bound on the spaces, which it adds to each line.
func boundedIndent() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "spaces", Type: cty.Number}, stringParam("str")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if n, _ := args[0].AsBigFloat().Float64(); n < 0 || n > 1000 {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "the number of spaces is from 0 to 1000")
			}
			return stdlib.Indent(args[0], args[1])
		},
	})
}
