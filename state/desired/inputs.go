package desired

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// An input is a value for a variable from outside the configuration.
type input struct {
	value  cty.Value
	at     state.Range // zero outside files
	failed bool
}

// valueFiles reads the files with values: those that are read unasked, then those named, in the order given.
func (l *loader) valueFiles(auto []string) []source {
	sources := l.parse(auto, func(name string) string { return filepath.Join(l.dir, name) })
	named := slices.Clone(l.o.VarFiles)
	for _, name := range named {
		l.files.shown[name] = true
	}
	return append(sources, l.parse(named, func(name string) string { return name })...)
}

// inputs gives every variable its value. The later wins: the default, the environment, files read unasked by name,
// files named in the order given, and then --var in the order given.
func (l *loader) inputs(files []source) {
	in := map[string]*input{}
	for _, kv := range l.o.Environ {
		key, text, _ := strings.Cut(kv, "=")
		name, ok := strings.CutPrefix(key, "OPDBUS_VAR_")
		if v := l.variables[name]; ok && v != nil {
			in[name] = l.textInput(v, text, "the environment variable "+key)
		}
	}
	for _, src := range files {
		l.fileInputs(src, in)
	}
	for _, kv := range l.o.Vars {
		name, text, ok := strings.Cut(kv, "=")
		name = strings.TrimSpace(name)
		if !ok {
			l.diags.Errorf(state.Range{}, "Invalid --var", "%q is not NAME=VALUE.", kv)
			continue
		}
		v := l.variables[name]
		if v == nil {
			l.diags.Errorf(state.Range{}, "Value for undeclared variable", "A value was given with --var for %q, but the configuration has no variable of that name.%s", name, didYouMean(name, sortedKeys(l.variables)))
			continue
		}
		in[name] = l.textInput(v, text, "--var "+name)
	}
	for _, name := range sortedKeys(l.variables) {
		l.setVariable(l.variables[name], in[name])
	}
}

// fileInputs takes up the values in one file. One for a variable that there is not is a warning, as files may be shared.
func (l *loader) fileInputs(src source, in map[string]*input) {
	c, diags := open(src.file.Body, nil)
	l.hclDiags(diags)
	for i := range c.blockCount() {
		b := c.block(i)
		l.errorf(b.typeRange(), "Unexpected block", "A file with variables' values holds NAME = VALUE only. Declare variables in a *.hcl file whose name does not end in .vars.hcl.")
	}
	for _, name := range c.attrNames() {
		expr := c.attr(name)
		if l.variables[name] == nil {
			l.diags.Warnf(rangeOf(c.nameRange(name)), "Value for undeclared variable", "The configuration has no variable %q.%s", name, didYouMean(name, sortedKeys(l.variables)))
			continue
		}
		v, diags := expr.Value(nil)
		l.hclDiags(diags)
		in[name] = &input{value: v, at: rangeOf(expr.Range()), failed: diags.HasErrors()}
	}
}

// textInput reads a value from text: as it is for a variable that is a string, number, bool or of no declared type, and
// as an expression for lists, maps and objects.
func (l *loader) textInput(v *variable, text, from string) *input {
	if v.typ == cty.DynamicPseudoType || v.typ.IsPrimitiveType() {
		return &input{value: cty.StringVal(text)}
	}
	name := "value of " + from
	src := []byte(text)
	l.files.shown[name] = true
	l.files.add(name, &hcl.File{Bytes: src})
	if at, deep := tooDeep(src); deep {
		l.errorf(rangeAt(src, name, at), "Nested too deeply", "The value is nested more deeply than any needs to be.")
		return &input{failed: true}
	}
	expr, diags := hclsyntax.ParseExpression(src, name, hcl.InitialPos)
	l.hclDiags(diags)
	if diags.HasErrors() {
		return &input{failed: true}
	}
	value, diags := expr.Value(nil)
	l.hclDiags(diags)
	return &input{value: value, at: rangeOf(expr.Range()), failed: diags.HasErrors()}
}

// isIdentifier says whether expressions can speak of the name after a dot.
func isIdentifier(name string) bool { return hclsyntax.ValidIdentifier(name) }
