package desired

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	yaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func encodingFunctions() map[string]function.Function {
	return map[string]function.Function{
		"base64decode": textFunction("str", base64Decode),
		"base64encode": textFunction("str", func(s string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
		"base64gzip":   textFunction("str", base64Gzip),
		"csvdecode":    bounded(stdlib.CSVDecodeFunc),
		"jsondecode":   bounded(stdlib.JSONDecodeFunc),
		"jsonencode":   stdlib.JSONEncodeFunc,
		"urldecode":    textFunction("str", url.QueryUnescape),
		"urlencode":    textFunction("str", func(s string) (string, error) { return url.QueryEscape(s), nil }),
		"yamldecode":   bounded(yaml.YAMLDecodeFunc),
		"yamlencode":   yaml.YAMLEncodeFunc,
	}
}

// bounded refuses text that nests so deeply that decoding it would exhaust the stack.
func bounded(f function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "src", Type: cty.String, AllowMarked: true}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if v, _ := args[0].Unmark(); v.IsKnown() && !v.IsNull() {
				if _, deep := tooDeep([]byte(v.AsString())); deep {
					return cty.NilType, errors.New("the text nests too deeply")
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

func base64Decode(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("the text is not base64")
	}
	if !utf8.Valid(b) {
		return "", errors.New("the decoded bytes are not UTF-8 text")
	}
	return string(b), nil
}

// base64Gzip leaves the time out of the header, so that the same text gives the same bytes.
func base64Gzip(s string) (string, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// uuidv5Function makes name-based UUIDs (RFC 9562, section 5.5) in the namespaces dns, url, oid, x500 or a UUID.
func uuidv5Function() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("namespace"), stringParam("name")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			namespace := args[0].AsString()
			if id, ok := map[string]string{
				"dns": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "url": "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
				"oid": "6ba7b812-9dad-11d1-80b4-00c04fd430c8", "x500": "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
			}[namespace]; ok {
				namespace = id
			}
			id, err := hex.DecodeString(strings.ReplaceAll(namespace, "-", ""))
			if err != nil || len(id) != 16 {
				return cty.UnknownVal(t), function.NewArgErrorf(0, "the namespace is dns, url, oid, x500 or a UUID")
			}
			sum := sha1.Sum(append(id, args[1].AsString()...))
			sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
			return cty.StringVal(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])), nil
		},
	})
}

func conversionFunctions() map[string]function.Function {
	return map[string]function.Function{
		"tobool":   stdlib.MakeToFunc(cty.Bool),
		"tolist":   stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap":    stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
		"tonumber": stdlib.MakeToFunc(cty.Number),
		"toset":    stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tostring": stdlib.MakeToFunc(cty.String),
	}
}
