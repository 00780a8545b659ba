package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/opdbus/opdbus/state"
)

const (
	longValue = 100       // characters of a value on a line
	diffLines = 40        // lines of a text diff
	diffBytes = 256 << 10 // of values that are compared line by line
)

// value is a JSON value on one line, shortened unless all of it is asked for.
func (t *text) value(v json.RawMessage, whole bool) string {
	if len(v) == 0 || string(v) == "null" {
		return "(unset)"
	}
	if v[0] != '"' {
		return t.cut(t.clean(string(v)), whole)
	}
	s := str(v)
	switch {
	case whole:
	case isDigest(s):
		return s[:strings.IndexByte(s, ':')+13] + t.glyph("…", "...")
	case strings.Count(s, "\n") > 1:
		return fmt.Sprintf("(%s, %s)", Count(len(lines(s)), "line"), Bytes(int64(len(s))))
	}
	if t.o.ASCII {
		return t.cut(strconv.QuoteToASCII(s), whole)
	}
	return t.cut(strconv.Quote(s), whole)
}

// isDigest says whether a text is a digest in full: how it was made and 64 hexadecimal digits.
func isDigest(s string) bool {
	made, sum, _ := strings.Cut(s, ":")
	return (made == "sha256" || made == "hmac-sha256") && len(sum) == 64 && strings.Trim(sum, "0123456789abcdef") == ""
}

func (t *text) cut(s string, whole bool) string {
	if r := []rune(s); !whole && len(r) > longValue {
		return string(r[:longValue]) + t.glyph("…", "...")
	}
	return s
}

// diff is how two values differ, line by line; nil when they are short enough for one line, or too long to compare.
func (t *text) diff(d state.Difference) []string {
	if !long(d.Before) && !long(d.After) || len(d.Before)+len(d.After) > diffBytes {
		return nil
	}
	_, hunks, ok := strings.Cut(udiff.Unified("before", "after", written(d.Before), written(d.After)), "\n+++ after\n")
	if !ok {
		return nil
	}
	var out []string
	all := lines(hunks)
	for i, l := range all {
		if i == diffLines && len(all) > diffLines+1 && !t.o.Verbose {
			out = append(out, fmt.Sprintf("%s and %s more (--verbose shows all)", t.glyph("…", "..."), Count(len(all)-i, "line")))
			break
		}
		cells := strings.Split(l, "\t")
		for i := range cells {
			cells[i] = t.clean(cells[i])
		}
		switch l = strings.Join(cells, "\t"); {
		case strings.HasPrefix(l, "+"):
			l = t.paint(green, l)
		case strings.HasPrefix(l, "-"):
			l = t.paint(red, l)
		}
		out = append(out, l)
	}
	return out
}

// long says whether a value is text of several lines, or a list or map that is hard to compare on one.
func long(v json.RawMessage) bool {
	if s := str(v); s != "" {
		return strings.Contains(strings.TrimSuffix(s, "\n"), "\n")
	}
	return len(v) > longValue/2 && (v[0] == '[' || v[0] == '{')
}

// written is a value as lines.
func written(v json.RawMessage) string {
	if s := str(v); s != "" {
		return s
	}
	var b bytes.Buffer
	if unset(v) || json.Indent(&b, v, "", "  ") != nil {
		return ""
	}
	return b.String() + "\n"
}

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
