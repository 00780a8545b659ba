package desired_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What nests without bound would end the program, which no test could report; so these either fail or pass by ending.
func TestNesting(t *testing.T) {
	long := map[string]string{
		"brackets":           "locals { a = " + strings.Repeat("[", 1_000_000),
		"closed brackets":    "locals { a = " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + " }",
		"parentheses":        "locals { a = " + strings.Repeat("(", 1_000_000),
		"blocks":             strings.Repeat("a {\n", 500_000),
		"templates":          "locals { a = \"" + strings.Repeat("${\"", 300_000),
		"negations":          "locals {\n a = " + strings.Repeat("!", 2_000_000) + "true\n}",
		"negations by line":  "locals {\n a = (\n" + strings.Repeat("!\n", 2_000_000) + "true)\n}",
		"minus":              "locals {\n a = " + strings.Repeat("-", 2_000_000) + "1\n}",
		"conditions":         "locals {\n a = " + strings.Repeat("true?1:", 1_000_000) + "1\n}",
		"sums":               "locals {\n a = 1" + strings.Repeat("+1", 1_000_000) + "\n}",
		"commented sums":     "locals {\n a = (1" + strings.Repeat("\n# c\n+1", 500_000) + ")\n}",
		"directives":         "locals {\n a = \"" + strings.Repeat("%{if true}", 500_000) + "\"\n}",
		"decoded JSON":       "locals {\n a = jsondecode(file(\"deep.txt\"))\n}",
		"decoded YAML":       "locals {\n a = yamldecode(file(\"deep.txt\"))\n}",
		"a template's text":  "locals {\n a = templatefile(\"deep.tmpl\", {})\n}",
		"doubling of values": "locals {\n" + doubling(40) + "}",
	}
	for name, src := range long {
		t.Run(name+" without bound are refused", func(t *testing.T) {
			assert.NotEmpty(t, mistakes(t, "main.hcl", src,
				"deep.txt", strings.Repeat("[", 1_000_000), "deep.tmpl", strings.Repeat("${[", 500_000)))
		})
	}
	for name, src := range map[string]string{
		"brackets":   "locals { a = " + strings.Repeat("[", 4_900) + strings.Repeat("]", 4_900) + " }",
		"blocks":     strings.Repeat("a {\n", 4_900) + strings.Repeat("}\n", 4_900),
		"templates":  "locals { a = \"" + strings.Repeat("${\"", 4_900) + strings.Repeat("\"}", 4_900) + "\" }",
		"negations":  "locals {\n a = " + strings.Repeat("!", 49_000) + "true\n}",
		"conditions": "locals {\n a = " + strings.Repeat("true?1:", 24_000) + "1\n}",
		"sums":       "locals {\n a = 1" + strings.Repeat("+1", 49_000) + "\n}",
		"directives": "locals {\n a = \"" + strings.Repeat("%{if true}", 1_900) + "\"\n}",
	} {
		t.Run(name+" just within the bounds do no harm", func(t *testing.T) {
			mistakes(t, "main.hcl", src)
			mistakes(t, "main.hcl.json", `{"locals":{"a":`+strings.Repeat("[", 4_900)+strings.Repeat("]", 4_900)+`}}`)
		})
	}
	t.Run("a large configuration is not mistaken for a deep one", func(t *testing.T) {
		src := "# :( :( [ {\n" + literalFiles(5_000) + strings.Repeat("# ----------\n", 10_000)
		assert.Len(t, load(t, "main.hcl", src).Nodes[0].Objects, 5_000)
	})
}

func doubling(n int) string {
	var b strings.Builder
	b.WriteString("l0 = \"0123456789\"\n")
	for i := range n {
		from, to := "l"+strconv.Itoa(i), "l"+strconv.Itoa(i+1)
		b.WriteString(to + " = \"${local." + from + "}${local." + from + "}\"\n")
	}
	return b.String()
}
