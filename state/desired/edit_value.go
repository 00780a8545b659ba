package desired

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// literal says whether an expression is a plain value: nothing in it is computed.
func literal(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		for _, p := range e.Parts {
			if _, ok := p.(*hclsyntax.LiteralValueExpr); !ok {
				return false
			}
		}
		return true
	case *hclsyntax.UnaryOpExpr:
		_, ok := e.Val.(*hclsyntax.LiteralValueExpr)
		return ok
	case *hclsyntax.TupleConsExpr:
		for _, v := range e.Exprs {
			if !literal(v) {
				return false
			}
		}
		return true
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); !ok || hcl.ExprAsKeyword(key) == "" && !literal(key.Wrapped) || !literal(item.ValueExpr) {
				return false
			}
		}
		return true
	}
	return false
}

// valueText writes a value as an expression in place of old, which may be empty, in a line with this indent. A text of
// several lines is a heredoc. What was written is read again: only what comes to the value, to the byte, is good.
func valueText(value any, old, indent string) (string, error) {
	if value == nil {
		return "", errors.New("has no value any more")
	}
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.String {
		want := codecFor(v.Type()).encode(v)
		text := string(hclwrite.TokensForValue(want).Bytes())
		if got, ok := literalValue(text, want.Type()); !ok || !got.RawEquals(want) {
			return "", fmt.Errorf("cannot hold %s", shown(value))
		}
		return text, nil
	}
	s := v.String()
	for _, text := range texts(s, old, indent) {
		if got, ok := literalValue(text, cty.String); ok && got.AsString() == s {
			return text, nil
		}
	}
	return "", errors.New("cannot hold the text that is on the host, which is not in the normal form (NFC) that texts of a configuration have")
}

// literalValue reads back what was written.
func literalValue(text string, want cty.Type) (cty.Value, bool) {
	file, diags := hclsyntax.ParseConfig([]byte("x = "+text+"\n"), "", hcl.InitialPos)
	if diags.HasErrors() || len(file.Body.(*hclsyntax.Body).Attributes) != 1 {
		return cty.NilVal, false
	}
	v, diags := file.Body.(*hclsyntax.Body).Attributes["x"].Expr.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	v, err := convert.Convert(v, want)
	return v, err == nil && !v.IsNull() && v.IsKnown()
}

// texts are the ways in which a text can be written, the best first.
func texts(s, old, indent string) []string {
	var ways []string
	if lines := strings.Count(s, "\n"); strings.HasSuffix(s, "\n") && (lines > 1 || strings.HasPrefix(old, "<<")) && printable(s) {
		marker := marker(s, old)
		escaped := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
		if strings.HasPrefix(old, "<<-") {
			var b strings.Builder
			for line := range strings.Lines(escaped) {
				if line != "\n" {
					b.WriteString(indent + "  ")
				}
				b.WriteString(line)
			}
			ways = append(ways, "<<-"+marker+"\n"+b.String()+indent+marker)
		}
		ways = append(ways, "<<"+marker+"\n"+escaped+marker)
	}
	return append(ways, string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()), quoted(s))
}

// printable says whether a heredoc shows all that is in a text.
func printable(s string) bool {
	for _, r := range s {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// marker ends a heredoc: the one that was there, or EOT, made longer until no line of the text is like it.
func marker(s, old string) string {
	m := "EOT"
	if first, _, heredoc := strings.Cut(old, "\n"); heredoc && strings.HasPrefix(first, "<<") {
		m = strings.TrimRight(strings.TrimPrefix(strings.TrimPrefix(first, "<<"), "-"), "\r")
	}
	for {
		taken := false
		for line := range strings.Lines(s) {
			taken = taken || strings.TrimSpace(line) == m
		}
		if !taken {
			return m
		}
		m += "_"
	}
}

// quoted writes a text in quotes in which nothing can be taken for a template.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"), r < 0x10000 && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// shown is a value for people.
func shown(value any) string {
	v := reflect.ValueOf(value)
	if s := v; s.Kind() == reflect.String && s.Len() > 60 || s.Kind() == reflect.String && strings.Contains(s.String(), "\n") {
		return "what is on the host"
	}
	if !v.IsValid() {
		return "nothing"
	}
	return string(hclwrite.TokensForValue(codecFor(v.Type()).encode(v)).Bytes())
}
