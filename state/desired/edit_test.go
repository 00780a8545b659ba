package desired_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
)

// fileBlocks are where the file blocks of a text begin, dynamic ones too.
func fileBlocks(t require.TestingT, src []byte) []*hclsyntax.Block {
	file, diags := hclsyntax.ParseConfig(src, "main.hcl", hcl.InitialPos)
	require.False(t, diags.HasErrors(), "%s\n%s", diags, src)
	var found []*hclsyntax.Block
	for _, node := range file.Body.(*hclsyntax.Body).Blocks {
		for _, b := range node.Body.Blocks {
			if b.Type == "file" || b.Type == "dynamic" {
				found = append(found, b)
			}
		}
	}
	return found
}

func at(b *hclsyntax.Block) state.Range {
	r := b.DefRange()
	return state.Range{File: "main.hcl", Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte}
}

// edit sets attributes in the first file block of a text.
func edit(t testing.TB, src string, set ...state.Setting) (string, state.Diagnostics) {
	t.Helper()
	out, diags := desired.EditFile([]byte(src), "main.hcl", []desired.Edit{{Block: at(fileBlocks(t, []byte(src))[0]), Set: set}})
	return string(out), diags
}

func TestEditFile(t *testing.T) {
	mode := state.Setting{Name: "mode", Value: "0600"}
	content := func(s string) state.Setting { return state.Setting{Name: "content", Value: s} }
	for _, c := range []struct {
		what, src string
		set       []state.Setting
		want      string
	}{
		{"a value is replaced where it stands, and comments stay",
			"stage \"a\" {\n\tfile \"x\" { # of x\n\t\ttarget=\"/x\"   // here\n\t\tmode =   \"0644\" # why\n\t}\n}\n", []state.Setting{mode},
			"stage \"a\" {\n\tfile \"x\" { # of x\n\t\ttarget=\"/x\"   // here\n\t\tmode =   \"0600\" # why\n\t}\n}\n"},
		{"an attribute is added behind the last, aligned where the rest is",
			"stage \"a\" {\n  file \"x\" {\n    target = \"/x\" # here\n  }\n}\n", []state.Setting{mode},
			"stage \"a\" {\n  file \"x\" {\n    target = \"/x\" # here\n    mode   = \"0600\"\n  }\n}\n"},
		{"and as it comes where nothing is aligned",
			"stage \"a\" {\r\n\tfile \"x\" {\r\n\t\ttarget=\"/x\" /* over\r\n\t\tlines */\r\n\t}\r\n}\r\n", []state.Setting{mode},
			"stage \"a\" {\r\n\tfile \"x\" {\r\n\t\ttarget=\"/x\" /* over\r\n\t\tlines */\r\n\t\tmode = \"0600\"\r\n\t}\r\n}\r\n"},
		{"a block of one line gets more",
			"stage \"a\" {\n  file \"x\" { target = \"/x\" }\n}\n", []state.Setting{mode},
			"stage \"a\" {\n  file \"x\" {\n    target = \"/x\"\n    mode   = \"0600\"\n  }\n}\n"},
		{"so does an empty one",
			"stage \"a\" {\n  file \"x\" {}\n}\n", []state.Setting{mode},
			"stage \"a\" {\n  file \"x\" {\n    mode = \"0600\"\n  }\n}\n"},
		{"a text of several lines is a heredoc, in which templates are text, and what was said behind it is said above",
			"stage \"a\" {\n  file \"x\" {\n    content = \"a\" # not much\n    mode    = \"0644\"\n  }\n}\n", []state.Setting{content("${a}\n%{b}\n\tEOT\n"), mode},
			"stage \"a\" {\n  file \"x\" {\n    # not much\n    content = <<EOT_\n$${a}\n%%{b}\n\tEOT\nEOT_\n    mode    = \"0600\"\n  }\n}\n"},
		{"a heredoc that is indented stays so",
			"stage \"a\" {\n  file \"x\" {\n    content = <<-TEXT\n      a\n    TEXT\n    mode = \"0644\"\n  }\n}\n", []state.Setting{content("b\n\n  c\n")},
			"stage \"a\" {\n  file \"x\" {\n    content = <<-TEXT\n      b\n\n        c\n    TEXT\n    mode = \"0644\"\n  }\n}\n"},
		{"a text of one line stays in quotes",
			"stage \"a\" {\n  file \"x\" { content = \"a\" }\n}\n", []state.Setting{content("\"b\" ${c} $${d}\\\x01\n")},
			"stage \"a\" {\n  file \"x\" { content = \"\\\"b\\\" $${c} $$${d}\\\\\\u0001\\n\" }\n}\n"},
		{"other values are written too",
			"stage \"a\" {\n  file \"x\" {\n    list = [\"a\"]\n    n    = -1\n    on   = null\n  }\n}\n",
			[]state.Setting{{Name: "list", Value: []string{"b", "${c}"}}, {Name: "n", Value: 7}, {Name: "on", Value: true}, {Name: "m", Value: map[string]string{"k": "v"}}},
			"stage \"a\" {\n  file \"x\" {\n    list = [\"b\", \"$${c}\"]\n    n    = 7\n    on   = true\n    m = {\n      k = \"v\"\n    }\n  }\n}\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, diags := edit(t, c.src, c.set...)
			require.Empty(t, diags)
			assert.Equal(t, c.want, got)
		})
	}

	for _, c := range []struct {
		what, src string
		set       state.Setting
		want      string
	}{
		{"a variable", "stage \"a\" {\n  file \"x\" {\n    mode = var.m\n  }\n}\n", mode,
			`"mode" is an expression at main.hcl:3, not a plain value. Change it by hand so that it comes to "0600".`},
		{"a template", "stage \"a\" {\n  file \"x\" {\n    mode = \"06${var.x}\"\n  }\n}\n", mode, `"mode" is an expression at main.hcl:3`},
		{"a function", "stage \"a\" {\n  file \"x\" {\n    content = file(\"x\")\n  }\n}\n", content("a\nb\n"),
			`"content" is an expression at main.hcl:3, not a plain value. Change it by hand so that it comes to what is on the host.`},
		{"a dynamic block", "stage \"a\" {\n  dynamic \"file\" {\n    for_each = []\n  }\n}\n", mode,
			`The dynamic block at main.hcl:2 makes several blocks. Let it set mode = "0600" for this one by hand.`},
		{"a node for each", "stage \"a\" {\n  for_each = {}\n  file \"x\" {}\n}\n", mode,
			`The for_each at main.hcl:2 makes several nodes of one block. Let it set mode = "0600" for this one by hand.`},
		{"a text that no configuration can hold", "stage \"a\" {\n  file \"x\" {}\n}\n", content("e\u0301"), `"content" of this block cannot hold the text that is on the host, which is not in the normal form (NFC)`},
		{"an attribute that is gone", "stage \"a\" {\n  file \"x\" {}\n}\n", state.Setting{Name: "mode"}, `"mode" of this block has no value any more. Set it by hand.`},
	} {
		t.Run(c.what+" is refused with its place", func(t *testing.T) {
			got, diags := edit(t, c.src, c.set)
			require.Len(t, diags, 1)
			assert.Contains(t, diags[0].Detail, c.want)
			assert.Equal(t, "main.hcl", diags[0].Subject.File)
			assert.Equal(t, c.src, got)
		})
	}
	t.Run("JSON is refused", func(t *testing.T) {
		_, diags := desired.EditFile([]byte("{}"), "main.hcl.json", []desired.Edit{{Block: state.Range{File: "main.hcl.json", Line: 3}, Set: []state.Setting{mode}}})
		require.Len(t, diags, 1)
		assert.Equal(t, `opdbus does not write JSON. Set mode = "0600" in main.hcl.json:3 by hand.`, diags[0].Detail)
	})
	t.Run("a file that has changed is refused", func(t *testing.T) {
		_, diags := desired.EditFile([]byte("# x"), "main.hcl", []desired.Edit{{Block: state.Range{File: "main.hcl", Line: 3, Byte: 9}, Set: []state.Setting{mode}}})
		require.Len(t, diags, 1)
		assert.Contains(t, diags[0].Detail, "There is no block at main.hcl:3 any more")
	})
	t.Run("two values for one attribute are refused", func(t *testing.T) {
		_, diags := edit(t, "stage \"a\" {\n  file \"x\" {}\n}\n", mode, state.Setting{Name: "mode", Value: "0700"})
		require.Len(t, diags, 1)
		assert.Contains(t, diags[0].Detail, "two things at once")
	})
	t.Run("only what is set changes, whatever stands around it", rapid.MakeCheck(func(t *rapid.T) {
		src := []byte(drawConfig(t))
		blocks := fileBlocks(t, src)
		var edits []desired.Edit
		for i, b := range blocks {
			set := rapid.SliceOfNDistinct(rapid.Custom(drawSetting), 0, 3, func(s state.Setting) string { return s.Name }).Draw(t, fmt.Sprint("set of ", i))
			if len(set) > 0 {
				edits = append(edits, desired.Edit{Block: at(b), Set: set})
			}
		}
		if len(edits) > 0 {
			checkEdit(t, src, edits)
		}
	}))
}

// drawSetting draws an attribute with a text that HCL can hold.
func drawSetting(t *rapid.T) state.Setting {
	text := rapid.OneOf(rapid.StringOf(rapid.SampledFrom([]rune("a \n\n\t$%{}\"\\#E\r~-"))), rapid.String(), rapid.Just("one\ntwo\n"), rapid.Just("  EOT\nEOT\n"))
	value := rapid.OneOf(rapid.Custom(func(t *rapid.T) any { return cty.NormalizeString(text.Draw(t, "text")) }), rapid.Just[any](true), rapid.Just[any](-5), rapid.Just[any]([]string{"${x}", ""}))
	return state.Setting{Name: rapid.SampledFrom([]string{"mode", "content", "owner", "target", "a_rather_long_name"}).Draw(t, "name"), Value: value.Draw(t, "value")}
}

// drawConfig draws a configuration in which every value is literal, laid out in any way.
func drawConfig(t *rapid.T) string {
	pick := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(t, what) }
	eol := pick("end of line", "\n", "\n", "\r\n")
	var b strings.Builder
	b.WriteString(pick("head", "", "# é ${not a template}", "/* a\n b */ ") + eol + "stage \"s\" {" + eol)
	for i := range rapid.IntRange(1, 3).Draw(t, "blocks") {
		indent := pick("indent", "", "  ", "\t", " \t ")
		b.WriteString(indent + fmt.Sprintf("file \"f%d\" {", i))
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"mode", "content", "owner", "type"}), 0, 4, rapid.ID).Draw(t, "attributes")
		if len(names) < 2 && rapid.Bool().Draw(t, "on one line") {
			for _, n := range names {
				b.WriteString(pick("comment", "", " /* c */ ") + n + pick("equals", "=", " = ", "   =  ") + "\"v\"" + pick("comment behind", "", " /* d */"))
			}
			b.WriteString(pick("space", "", " ") + "}" + pick("comment behind the block", "", " # end") + eol)
			continue
		}
		b.WriteString(pick("comment behind the brace", "", " # of the block") + eol)
		for _, n := range names {
			b.WriteString(pick("line before", "", eol, indent+"# above"+eol))
			b.WriteString(indent + "  " + pick("comment before", "", "/* c */ ") + n + pick("equals", "=", " = ", "   =  "))
			switch pick("value", "quoted", "quoted", "list", "heredoc", "flush") {
			case "quoted":
				b.WriteString("\"v\"" + pick("comment behind", "", " # d ", " // d", " /* over"+eol+"lines */"))
			case "list":
				b.WriteString("[" + eol + "1, # one" + eol + "{ a = \"b\" }]")
			case "heredoc":
				b.WriteString("<<EOT\none\n  two\nEOT")
			case "flush":
				b.WriteString("<<-X\n    one\n      two\n    X")
			}
			b.WriteString(eol)
		}
		b.WriteString(pick("line at the end", "", indent+"# last"+eol) + indent + "}" + eol)
	}
	b.WriteString("}" + pick("tail", "", eol, eol+"# no newline"))
	if rapid.Bool().Draw(t, "formatted") {
		return string(hclwrite.Format([]byte(b.String())))
	}
	return b.String()
}

// checkEdit edits, and finds what was set with its value, and all else as it was.
func checkEdit(t require.TestingT, src []byte, edits []desired.Edit) {
	out, diags := desired.EditFile(src, "main.hcl", edits)
	require.Empty(t, diags, "%s", src)
	formatted := bytes.Equal(hclwrite.Format(src), src)
	if formatted {
		require.Equal(t, string(hclwrite.Format(out)), string(out))
	}
	before, after := fileBlocks(t, src), fileBlocks(t, out)
	require.Len(t, after, len(before))
	if !formatted {
		head, tail := edges(before, edits)
		require.Equal(t, string(src[:head]), string(out[:head]))
		require.True(t, bytes.HasSuffix(out, src[tail:]))
	}
	for i, b := range before {
		set := map[string]any{}
		for _, e := range edits {
			for _, s := range e.Set {
				if e.Block == at(b) {
					set[s.Name] = s.Value
				}
			}
		}
		for name, a := range after[i].Body.Attributes {
			want, isSet := set[name]
			if !isSet {
				require.Contains(t, b.Body.Attributes, name)
				was := b.Body.Attributes[name].Expr.Range()
				if formatted { // a list is indented anew with what is above it
					continue
				}
				now := a.Expr.Range()
				require.Equal(t, string(src[was.Start.Byte:was.End.Byte]), string(out[now.Start.Byte:now.End.Byte]))
				continue
			}
			v, diags := a.Expr.Value(nil)
			require.False(t, diags.HasErrors())
			if text, ok := want.(string); ok {
				require.Equal(t, text, v.AsString())
			} else if list, ok := want.([]string); ok {
				require.Equal(t, len(list), v.LengthInt())
			} else {
				require.True(t, v.RawEquals(cty.True) || v.RawEquals(cty.NumberIntVal(-5)))
			}
		}
		for name := range set {
			require.Contains(t, after[i].Body.Attributes, name)
		}
		require.Len(t, after[i].Body.Attributes, len(b.Body.Attributes)+added(b, set))
	}
	require.Equal(t, without(t, src, before, edits), without(t, out, after, moved(edits, before, after)), "%s", out)
}

// edges are where the first block that is edited begins and the last one ends.
func edges(blocks []*hclsyntax.Block, edits []desired.Edit) (head, tail int) {
	head = blocks[len(blocks)-1].CloseBraceRange.End.Byte
	for _, b := range blocks {
		for _, e := range edits {
			if e.Block == at(b) {
				head, tail = min(head, b.TypeRange.Start.Byte), max(tail, b.CloseBraceRange.Start.Byte)
			}
		}
	}
	return head, tail
}

func added(b *hclsyntax.Block, set map[string]any) (n int) {
	for name := range set {
		if b.Body.Attributes[name] == nil {
			n++
		}
	}
	return n
}

// moved are the edits with the places that the blocks have in the other text.
func moved(edits []desired.Edit, before, after []*hclsyntax.Block) []desired.Edit {
	var there []desired.Edit
	for _, e := range edits {
		i := slices.IndexFunc(before, func(b *hclsyntax.Block) bool { return at(b) == e.Block })
		there = append(there, desired.Edit{Block: at(after[i]), Set: e.Set})
	}
	return there
}

// without is a text without the attributes that are set: its tokens and comments in order, save that a comment may have gone from
// behind an attribute to above it, which is why comments come after the others.
func without(t require.TestingT, src []byte, blocks []*hclsyntax.Block, edits []desired.Edit) []string {
	type stretch struct{ from, to int }
	var gone []stretch
	for _, b := range blocks {
		for _, e := range edits {
			for _, s := range e.Set {
				if a := b.Body.Attributes[s.Name]; a != nil && e.Block == at(b) {
					gone = append(gone, stretch{a.SrcRange.Start.Byte, a.Expr.Range().End.Byte})
				}
			}
		}
	}
	tokens, diags := hclsyntax.LexConfig(src, "main.hcl", hcl.InitialPos)
	require.False(t, diags.HasErrors())
	var words, comments []string
	for _, token := range tokens {
		if token.Type == hclsyntax.TokenNewline || slices.ContainsFunc(gone, func(s stretch) bool { return s.from <= token.Range.Start.Byte && token.Range.Start.Byte < s.to }) {
			continue
		}
		if token.Type == hclsyntax.TokenComment {
			comments = append(comments, strings.TrimSpace(string(token.Bytes)))
			continue
		}
		words = append(words, string(token.Bytes))
	}
	return append(words, comments...)
}

func FuzzEditFile(f *testing.F) {
	for _, value := range []string{"0600", "a\nb\n", "${a}\n%{if}\nEOT\n", "\x00", "\xff"} {
		f.Add("stage \"a\" {\n  file \"x\" { mode = \"a\" }\n}\n", "mode", value)
		f.Add("stage \"a\" {\n\tfile \"x\" {\n  mode = <<-EOT /* x */\n a\n EOT\n}}\n", "mode", value)
		f.Add("stage \"a\" {\n  file \"x\" {\n a = 1 // b\n}\n file \"x\" {\n a = 1 // b\n}\n}", "mode", value)
	}
	f.Fuzz(func(t *testing.T, src, name, value string) {
		file, diags := hclsyntax.ParseConfig([]byte(src), "main.hcl", hcl.InitialPos)
		if diags.HasErrors() || !hclsyntax.ValidIdentifier(name) {
			return
		}
		for i, b := range file.Body.(*hclsyntax.Body).Blocks {
			out, failed := desired.EditFile([]byte(src), "main.hcl", []desired.Edit{{Block: at(b), Set: []state.Setting{{Name: name, Value: value}}}})
			if failed.HasErrors() {
				require.Equal(t, src, string(out))
				continue
			}
			file, diags := hclsyntax.ParseConfig(out, "main.hcl", hcl.InitialPos)
			require.False(t, diags.HasErrors(), "%s", diags)
			v, diags := file.Body.(*hclsyntax.Body).Blocks[i].Body.Attributes[name].Expr.Value(nil)
			require.False(t, diags.HasErrors(), "%s", diags)
			require.Equal(t, value, v.AsString())
		}
	})
}
