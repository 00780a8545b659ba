package desired

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
)

// Parsing and evaluating recurse as deeply as a text nests, and Go ends a program whose stack grows beyond its limit. So
// what nests beyond these bounds, which no configuration comes near, is refused before it is parsed.
const (
	maxBrackets  = 5_000
	maxOperators = 50_000 // in one stretch that a comma or the end of a statement would end
	directive    = 25     // what a %{ counts for, as hcl's time grows with the square of their number
)

// tooDeep looks over a text, strings included, and says where it passes a bound.
func tooDeep(src []byte) (at int, deep bool) {
	depth, operators := 0, 0
	for i := 0; i < len(src); i++ {
		if i == 0 || src[i-1] == '\n' {
			i += comment(src[i:])
			if i == len(src) {
				break
			}
		}
		switch c := src[i]; c {
		case '(', '[', '{':
			depth++
			if c == '{' && i > 0 && src[i-1] == '%' {
				operators += directive
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		case ',':
			operators = 0
		case '\n':
			if operators > 0 && !goesOn(src, i) {
				operators = 0
			}
		default:
			if isOperator(c) {
				operators++
			}
		}
		if depth > maxBrackets || operators > maxOperators {
			return i, true
		}
	}
	return 0, false
}

// comment is the length of the comment lines that the text begins with, up to the end of the last. In a heredoc, such a
// line is text, and may hold a template.
func comment(src []byte) int {
	n := 0
	for {
		line := src[n:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		text := bytes.TrimLeft(line, " \t")
		if !bytes.HasPrefix(text, []byte("#")) && !bytes.HasPrefix(text, []byte("//")) || bytes.Contains(text, []byte("{")) {
			return n
		}
		if n += len(line); n == len(src) {
			return n
		}
	}
}

func isOperator(c byte) bool {
	switch c {
	case '!', '-', '?', ':', '+', '*', '/', '%', '<', '>', '=', '&', '|':
		return true
	}
	return false
}

// goesOn says whether an expression may go on over the end of the line at i: when the line ends with an operator or an
// open bracket, or the next begins with an operator or a closed one.
func goesOn(src []byte, i int) bool {
	before := bytes.TrimRight(src[max(0, i-80):i], " \t\r\n")
	after := src[i+1:]
	after = after[comment(after):]
	after = bytes.TrimLeft(after[:min(len(after), 80)], " \t\r\n")
	if len(before) == 0 || len(after) == 0 {
		return true
	}
	last, first := before[len(before)-1], after[0]
	return isOperator(last) || isOperator(first) || first == '#' ||
		bytes.IndexByte([]byte("([{"), last) >= 0 || bytes.IndexByte([]byte(")]}"), first) >= 0
}

// rangeAt is the place of one byte.
func rangeAt(src []byte, name string, at int) hcl.Range {
	line := 1 + bytes.Count(src[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(src[:at], '\n')
	return hcl.Range{
		Filename: name,
		Start:    hcl.Pos{Line: line, Column: column, Byte: at},
		End:      hcl.Pos{Line: line, Column: column + 1, Byte: at + 1},
	}
}
