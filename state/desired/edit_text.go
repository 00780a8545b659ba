package desired

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A splice replaces a stretch of the text.
type splice struct {
	from, to int
	text     string
}

// oneLine says whether a block stands on one line.
func oneLine(b *hclsyntax.Block) bool {
	return b.OpenBraceRange.Start.Line == b.CloseBraceRange.Start.Line
}

// open gives what is in a block of one line a line of its own.
func (e *editor) open(b *hclsyntax.Block) {
	from, to := b.OpenBraceRange.End.Byte, b.CloseBraceRange.Start.Byte
	inner := string(e.src[from:to])
	text := strings.Trim(inner, " \t")
	left := from + len(inner) - len(strings.TrimLeft(inner, " \t"))
	if text == "" {
		e.splice(from, to, e.newline())
		return
	}
	outer := e.indent(b.TypeRange.Start.Byte)
	e.splice(from, left, e.newline()+outer+"  ")
	e.splice(left+len(text), to, e.newline())
}

// comment is what is said behind a byte on its line; nil when nothing is.
func (e *editor) comment(at int) *hclsyntax.Token {
	for i := range e.tokens {
		t := &e.tokens[i]
		if t.Range.Start.Byte < at {
			continue
		}
		if t.Type == hclsyntax.TokenComment {
			return t
		}
		return nil
	}
	return nil
}

// lineEnd is behind the end of the line that a byte is on, where a comment over several lines does not end it.
func (e *editor) lineEnd(at int) int {
	for _, t := range e.tokens {
		if t.Range.Start.Byte >= at && (t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment && bytes.HasSuffix(t.Bytes, []byte("\n"))) {
			return t.Range.End.Byte
		}
	}
	return len(e.src)
}

// indent is the space that the line of a byte begins with.
func (e *editor) indent(at int) string {
	line := e.src[bytes.LastIndexByte(e.src[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// newline is how the file's lines end.
func (e *editor) newline() string {
	if i := bytes.IndexByte(e.src, '\n'); i > 0 && e.src[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func (e *editor) splice(from, to int, text string) {
	e.splices = append(e.splices, splice{from, to, text})
}

// spliced is the text with all that was replaced. What is put in at one place stands in the order in which it was said.
func (e *editor) spliced() []byte {
	slices.SortStableFunc(e.splices, func(a, b splice) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []byte
	at := 0
	for _, s := range slices.CompactFunc(e.splices, func(a, b splice) bool { return a == b }) {
		out = append(append(out, e.src[at:s.from]...), s.text...)
		at = s.to
	}
	return append(out, e.src[at:]...)
}
