package desired

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/opdbus/opdbus/state"
)

// Format lays out a *.hcl file as everybody does. Text with syntax errors is returned as it is, with them.
func Format(src []byte, filename string) ([]byte, state.Diagnostics) {
	l := &loader{}
	if strings.HasSuffix(filename, ".json") {
		return src, nil
	}
	if at, deep := tooDeep(src); deep {
		l.errorf(rangeAt(src, filename, at), "Nested too deeply", "Brackets or operators are nested more deeply here than any configuration needs.")
		return src, l.diags
	}
	_, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if l.hclDiags(diags); diags.HasErrors() {
		return src, tidy(l.diags)
	}
	return hclwrite.Format(src), tidy(l.diags)
}
