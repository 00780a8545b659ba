package desired

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/opdbus/opdbus/state"
)

// An Edit sets attributes of one block.
type Edit struct {
	Block state.Range // where it begins, as a Declared has it
	Set   []state.Setting
}

// EditFile sets attributes in the text of a *.hcl file. Everything else stays as it is, byte for byte; only where the text was
// formatted are columns aligned anew, so that it still is. What cannot be set is said with its place: an expression, what for_each
// or a dynamic block made, JSON.
func EditFile(src []byte, name string, edits []Edit) ([]byte, state.Diagnostics) {
	e := &editor{src: src, name: name}
	if !e.parse(edits) {
		return src, tidy(e.diags)
	}
	for _, edit := range merge(edits) {
		e.edit(edit)
	}
	if e.diags.HasErrors() {
		return src, tidy(e.diags)
	}
	out := e.spliced()
	if bytes.Equal(hclwrite.Format(src), src) {
		out = hclwrite.Format(out)
	}
	if _, diags := hclsyntax.ParseConfig(out, name, hcl.InitialPos); diags.HasErrors() {
		e.errorf(edits[0].Block, "cannot be written here: %s", diags.Error())
		return src, e.diags
	}
	return out, nil
}

// merge brings together what is set in one block.
func merge(edits []Edit) []Edit {
	var merged []Edit
	for _, edit := range edits {
		at := slices.IndexFunc(merged, func(m Edit) bool { return m.Block.Byte == edit.Block.Byte })
		if at < 0 {
			merged = append(merged, Edit{Block: edit.Block})
			at = len(merged) - 1
		}
		merged[at].Set = append(merged[at].Set, edit.Set...)
	}
	return merged
}

// An editor is one file that is being edited.
type editor struct {
	src     []byte
	name    string
	body    *hclsyntax.Body
	tokens  hclsyntax.Tokens
	splices []splice
	diags   state.Diagnostics
}

func (e *editor) errorf(at state.Range, detail string, args ...any) {
	e.diags.Errorf(at, "Cannot be written", detail, args...)
}

func (e *editor) parse(edits []Edit) bool {
	if strings.HasSuffix(e.name, ".json") {
		for _, edit := range edits {
			e.errorf(edit.Block, "opdbus does not write JSON. Set %s in %s by hand.", saying(edit.Set), placeText(edit.Block))
		}
		return false
	}
	if at, deep := tooDeep(e.src); deep {
		e.errorf(rangeOf(rangeAt(e.src, e.name, at)), "Brackets or operators are nested more deeply here than any configuration needs.")
		return false
	}
	file, diags := hclsyntax.ParseConfig(e.src, e.name, hcl.InitialPos)
	if diags.HasErrors() {
		e.errorf(edits[0].Block, "%s has changed: %s", e.name, diags.Error())
		return false
	}
	e.body = file.Body.(*hclsyntax.Body)
	e.tokens, _ = hclsyntax.LexConfig(e.src, e.name, hcl.InitialPos)
	return true
}

// edit sets attributes of one block.
func (e *editor) edit(edit Edit) {
	b, outer := e.find(e.body, edit.Block.Byte, nil)
	if b == nil {
		e.errorf(edit.Block, "There is no block at %s any more; the file has changed. Try once more.", placeText(edit.Block))
		return
	}
	if b.Type == "dynamic" {
		e.errorf(edit.Block, "The dynamic block at %s makes several blocks. Let it set %s for this one by hand.", placeText(edit.Block), saying(edit.Set))
		return
	}
	for _, o := range append(outer, b) {
		if each := o.Body.Attributes["for_each"]; each != nil {
			e.errorf(rangeOf(each.SrcRange), "The for_each at %s makes several nodes of one block. Let it set %s for this one by hand.", placeText(rangeOf(each.SrcRange)), saying(edit.Set))
			return
		}
	}
	set := map[string]any{}
	var added []state.Setting
	for _, s := range edit.Set {
		if first, twice := set[s.Name]; twice {
			if !reflect.DeepEqual(first, s.Value) {
				e.errorf(edit.Block, "%q would have to be two things at once. Set it by hand.", s.Name)
			}
			continue
		}
		set[s.Name] = s.Value
		if a := b.Body.Attributes[s.Name]; a != nil {
			e.replace(b, a, s)
		} else {
			added = append(added, s)
		}
	}
	if len(added) > 0 {
		e.add(b, added)
	}
}

// find finds the block that begins at a byte, and those around it.
func (e *editor) find(body *hclsyntax.Body, at int, outer []*hclsyntax.Block) (*hclsyntax.Block, []*hclsyntax.Block) {
	for _, b := range body.Blocks {
		if b.TypeRange.Start.Byte == at {
			return b, outer
		}
		if b.TypeRange.Start.Byte < at && at < b.CloseBraceRange.End.Byte {
			return e.find(b.Body, at, append(outer, b))
		}
	}
	return nil, nil
}

// replace writes another value to an attribute whose value is literal.
func (e *editor) replace(b *hclsyntax.Block, a *hclsyntax.Attribute, s state.Setting) {
	at := rangeOf(a.SrcRange)
	if !literal(a.Expr) {
		e.errorf(at, "%q is an expression at %s, not a plain value. Change it by hand so that it comes to %s.", s.Name, placeText(at), shown(s.Value))
		return
	}
	old := a.Expr.Range()
	indent := e.indent(a.NameRange.Start.Byte)
	text, err := valueText(s.Value, string(e.src[old.Start.Byte:old.End.Byte]), indent)
	if err != nil {
		e.errorf(at, "%q at %s %s. Change it by hand.", s.Name, placeText(at), err)
		return
	}
	from, to := old.Start.Byte, old.End.Byte
	if !strings.HasPrefix(text, "<<") {
		e.splice(from, to, text)
		return
	}
	if oneLine(b) {
		e.open(b)
	}
	// Nothing may follow a heredoc on its last line: what is said about the attribute is said above it.
	if comment := e.comment(to); comment != nil {
		e.splice(a.NameRange.Start.Byte, a.NameRange.Start.Byte, strings.TrimRight(string(comment.Bytes), "\r\n")+e.newline()+indent)
		to = comment.Range.Start.Byte + len(strings.TrimRight(string(comment.Bytes), "\r\n"))
	}
	e.splice(from, to, text)
}

// add writes attributes that a block does not have behind those that it has.
func (e *editor) add(b *hclsyntax.Block, added []state.Setting) {
	indent := e.indent(b.TypeRange.Start.Byte) + "  "
	last := -1 // where the last attribute ends
	for _, a := range b.Body.Attributes {
		if end := a.Expr.Range().End.Byte; end > last {
			last, indent = end, e.indent(a.NameRange.Start.Byte)
		}
	}
	single := oneLine(b)
	if single {
		indent = e.indent(b.TypeRange.Start.Byte) + "  "
	}
	var lines strings.Builder
	for _, s := range added {
		text, err := valueText(s.Value, "", indent)
		if err != nil {
			e.errorf(rangeOf(b.DefRange()), "%q of this block %s. Set it by hand.", s.Name, err)
			return
		}
		lines.WriteString(indent + s.Name + " = " + text + e.newline())
	}
	if single {
		e.open(b)
		at := b.CloseBraceRange.Start.Byte
		e.splice(at, at, lines.String()+e.indent(b.TypeRange.Start.Byte))
		return
	}
	if last < 0 {
		last = b.OpenBraceRange.End.Byte
	}
	at := e.lineEnd(last)
	e.splice(at, at, lines.String())
}

// saying is what is to be set, for people.
func saying(set []state.Setting) string {
	words := make([]string, len(set))
	for i, s := range set {
		words[i] = fmt.Sprintf("%s = %s", s.Name, shown(s.Value))
	}
	return strings.Join(words, ", ")
}
