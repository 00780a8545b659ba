package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Clean makes a text of others fit to be printed on one line of a terminal.
func Clean(s string) string { return clean(s, false) }

// clean makes foreign text harmless on a terminal: control characters, invisible and direction-changing ones and what is
// not UTF-8 come out as Go escapes. With ascii, so does everything that is not ASCII.
func clean(s string, ascii bool) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f {
		i++
	}
	if i == len(s) {
		return s
	}
	b := []byte(s[:i])
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\x%02x`, s[i])
		case strconv.IsPrint(r) && (!ascii || r < utf8.RuneSelf):
			b = utf8.AppendRune(b, r)
		default:
			q := strconv.AppendQuoteRuneToASCII(nil, r)
			b = append(b, q[1:len(q)-1]...)
		}
		i += size
	}
	return string(b)
}

// cleanJSON is clean for JSON: what is not printable comes out as \u escapes, so that it means the same. The encoder has
// escaped the ASCII ones but DEL.
func cleanJSON(data []byte) []byte {
	first := slices.IndexFunc(data, func(c byte) bool { return c >= 0x7f })
	if first < 0 {
		return data
	}
	b := append(make([]byte, 0, len(data)+64), data[:first]...)
	for data = data[first:]; len(data) > 0; {
		r, size := utf8.DecodeRune(data)
		switch {
		case !unprintable(r):
			b = append(b, data[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		data = data[size:]
	}
	return b
}

// unprintable says what clean escapes; white space between JSON's tokens is not.
func unprintable(r rune) bool { return r != '\n' && r != '\t' && !strconv.IsPrint(r) }

// write is io.Writer's with the error alone.
func write(w io.Writer, data []byte) error {
	_, err := w.Write(data)
	return err
}
