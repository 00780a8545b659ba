// Package statejson translates the state document of the older op-dbus, a state.json of the form {"version": 1, "plugins": {…}}, into the
// configuration that says the same in HCL. It knows what kinds and attributes are called, as text; whether they are right is seen when the
// configuration is loaded. It imports the standard library, hcl and cty.
package statejson

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// A Translation is a state document as a configuration.
type Translation struct {
	// Text is HCL as it is formatted; nil where the document has mistakes.
	Text []byte
	// File is the same with the document's bytes and its places: what is said of a block points to what the block was made from.
	File *hcl.File
}

// A Hint is a sentence that asks whether one of the known names was meant; empty where none is close.
type Hint func(given string, known []string) string

// Translate translates a document. All mistakes in it are in the diagnostics; what has no counterpart is a warning there.
func Translate(src []byte, name string, hint Hint) (*Translation, hcl.Diagnostics) {
	nothing := &Translation{File: &hcl.File{Bytes: src, Body: hcl.EmptyBody()}}
	if at := invalid(src); at >= 0 {
		return nothing, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Not a text", Detail: fmt.Sprintf("Byte %d is not UTF-8, which JSON is written in.", at)}}
	}
	root, diags := json.ParseExpression(src, name)
	if diags.HasErrors() {
		return nothing, diags
	}
	if file, diags := json.Parse(src, name); !diags.HasErrors() {
		nothing.File.Nav = file.Nav
	}
	t := &translator{hint: hint}
	t.document(read(root))
	if t.diags.HasErrors() {
		return nothing, t.diags
	}
	text := write(t.blocks)
	file, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nothing, append(t.diags, diags...)
	}
	file.Bytes, file.Nav = src, nothing.File.Nav
	placeBody(file.Body.(*hclsyntax.Body), t.blocks)
	return &Translation{Text: text, File: file}, t.diags
}

// invalid is the first byte that is not UTF-8; -1 when all are.
func invalid(src []byte) int {
	for at := 0; at < len(src); {
		r, size := utf8.DecodeRune(src[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// A translator is one document on its way to HCL.
type translator struct {
	hint       Hint
	blocks     []*block
	interfaces map[string]*networkInterface // those that net declares; nil where there is no such section
	diags      hcl.Diagnostics
}

// document translates the whole. Each node depends on the one before it: packages bring units, units bring the switch, and flows need the
// bridges and ports of the network.
func (t *translator) document(root value) {
	top, ok := t.object(root, "A state document", "version", "plugins")
	if !ok {
		if root.sort == isNull {
			t.errorf(root.at, "Wrong type", "A state document has to be an object.")
		}
		return
	}
	t.version(top)
	plugins, ok := t.open(t.required(top, "plugins"), quoted("plugins"))
	if !ok {
		return
	}
	t.sections(plugins)
	var before *block // the node that the next one depends on
	node := func(kind, name string, m *member, translate func(node *block, section *member)) {
		if m == nil {
			return
		}
		b := &block{kind: kind, labels: []string{name}, at: m.at}
		if before != nil {
			b.set("dependencies", m.at, list(m.at, reference(m.at, before.kind, before.labels[0])))
		}
		before = b
		t.blocks = append(t.blocks, b)
		translate(b, m)
	}
	node("plugin", "packagekit", plugins.get("packagekit"), t.packages)
	node("plugin", "systemd", plugins.get("systemd"), t.units)
	node("network", "net", plugins.get("net"), t.network)
	network := before
	node("plugin", "dnsresolver", t.resolving(), t.resolvers)
	before = network
	node("plugin", "openflow", plugins.get("openflow"), t.openflow)
}

// sections refuses those of plugins that are not known, or known and not translated: what is not understood must not be left out unsaid.
func (t *translator) sections(plugins *object) {
	known := append([]string{"packagekit", "systemd", "net", "openflow"}, sorted(untranslated())...)
	for _, m := range plugins.members {
		detail := untranslated()[m.name]
		if detail != "" {
			t.errorf(m.at, "Section not translated", "%s Take the section out of the document.", detail)
		} else if !slices.Contains(known, m.name) {
			t.errorf(m.at, "Unknown section", "opdbus knows no plugin %q.%s What it looks after has to be declared in HCL, where there is a kind for it; see docs/import.md.", m.name, t.hint(m.name, known))
		}
	}
}

// version checks that the document is one of those that are known.
func (t *translator) version(top *object) {
	m := top.get("version")
	if m == nil {
		t.errorf(top.at, "Missing version", `A state document says which version it is of: "version": 1.`)
		return
	}
	if n, ok := t.integer(m); ok && n != 1 {
		t.errorf(m.value.at, "Unknown version", "opdbus knows state documents of version 1, not %d.", n)
	}
}

// untranslated says of the sections that are known and not translated what to do instead.
func untranslated() map[string]string {
	const declare = `What the section %q says has to be declared in HCL, in a plugin block of that name; see docs/import.md.`
	const lacking = `There is nothing that this section could be translated to; see docs/import.md.`
	return map[string]string{
		"login1":         fmt.Sprintf(declare, "login1"),
		"dnsresolver":    fmt.Sprintf(declare, "dnsresolver"),
		"dbus":           fmt.Sprintf(declare, "dbus"),
		"lxc":            lacking,
		"pcidecl":        lacking,
		"netmaker":       lacking,
		"privacy":        lacking,
		"privacy_router": lacking,
	}
}
