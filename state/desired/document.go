package desired

import (
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired/statejson"
)

// IsDocument says whether a file of that name is taken as a state document, which is a configuration of one file in another form.
func IsDocument(name string) bool {
	return strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".hcl.json")
}

// Translate translates a state document to the HCL that says the same. The text is nil when there are mistakes in it.
func Translate(path string) ([]byte, *Files, state.Diagnostics) {
	l := newLoader(Options{Dir: filepath.Dir(path), File: filepath.Base(path)})
	src, err := l.readFile(path)
	if err != nil {
		l.diags.Errorf(state.Range{}, "Cannot read file", "cannot read %s: %s.", path, err)
		return nil, l.files, l.diags
	}
	text, file, diags := translated(src, l.o.File)
	l.files.add(l.o.File, file)
	l.hclDiags(diags)
	return text, l.files, tidy(l.diags)
}

// translated is a state document as HCL: the text, and the same with the document's places.
func translated(src []byte, name string) ([]byte, *hcl.File, hcl.Diagnostics) {
	if at, deep := tooDeep(src); deep {
		return nil, &hcl.File{Bytes: src, Body: hcl.EmptyBody()}, plainDiag(rangeAt(src, name, at), "Nested too deeply", "Brackets are nested more deeply here than any document needs.")
	}
	t, diags := statejson.Translate(src, name, didYouMean)
	return t.Text, t.File, diags
}
