package state

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Node types, as written in a configuration.
const (
	StageNode   = "stage"
	PluginNode  = "plugin"
	NetworkNode = "network"
)

// A NodeAddr names a node: stage.core, or stage.web["a"] for an instance made by for_each.
type NodeAddr struct {
	Type, Name string
	Key        string // the for_each key; empty for a node without for_each
}

func (a NodeAddr) String() string {
	if a.Key == "" {
		return a.Type + "." + a.Name
	}
	return a.Type + "." + a.Name + "[" + quote(a.Key) + "]"
}

// MarshalText makes a NodeAddr print as its address in JSON, as a map key too.
func (a NodeAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *NodeAddr) UnmarshalText(text []byte) error {
	addr, err := ParseAddr(string(text))
	if err != nil {
		return err
	}
	if !addr.IsNode() {
		return fmt.Errorf("%q is the address of an object, not of a node", text)
	}
	*a = addr.Node
	return nil
}

// Dir is the name of the node's subvolume below STORE/staging and the middle of its snapshots' names: the bare
// name for a stage, TYPE.NAME for the others, with @KEY for an instance. No two nodes share one, since names
// hold neither dots nor at signs.
func (a NodeAddr) Dir() string {
	dir := a.Name
	if a.Type != StageNode {
		dir = a.Type + "." + a.Name
	}
	if a.Key != "" {
		dir += "@" + escape(a.Key)
	}
	return dir
}

// Compare orders addresses by type (stages first, then plugins, then networks), name and key.
func (a NodeAddr) Compare(b NodeAddr) int {
	return cmp.Or(cmp.Compare(typeOrder(a.Type), typeOrder(b.Type)), strings.Compare(a.Name, b.Name), strings.Compare(a.Key, b.Key))
}

func typeOrder(t string) int {
	switch t {
	case StageNode:
		return 0
	case PluginNode:
		return 1
	}
	return 2
}

// An Addr names an object of a node, such as stage.core.file["bin/op-dbus"]; without a kind it names the node itself.
type Addr struct {
	Node      NodeAddr
	Kind, Key string
}

// IsNode says whether the address names a node rather than an object in it.
func (a Addr) IsNode() bool { return a.Kind == "" }

func (a Addr) String() string {
	if a.IsNode() {
		return a.Node.String()
	}
	return a.Node.String() + "." + a.Local()
}

// Local is the address within the node: file["bin/op-dbus"].
func (a Addr) Local() string { return a.Kind + "[" + quote(a.Key) + "]" }

// Contains says whether b is a or, when a names a node, an object in that node.
func (a Addr) Contains(b Addr) bool {
	if a.IsNode() {
		return a.Node == b.Node
	}
	return a == b
}

// MarshalText makes an Addr print as its address in JSON.
func (a Addr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Addr) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAddr(string(text))
	return err
}

// ParseAddr reads an address as String prints it.
func ParseAddr(s string) (Addr, error) {
	fail := func(why string) (Addr, error) {
		return Addr{}, fmt.Errorf("invalid address %q: %s; an address reads stage.NAME, plugin.NAME, network.NAME or NODE.KIND[\"key\"]", s, why)
	}
	var a Addr
	typ, rest, ok := strings.Cut(s, ".")
	if !ok {
		return fail("no node type")
	}
	if typ != StageNode && typ != PluginNode && typ != NetworkNode {
		return fail("unknown node type " + strconv.Quote(typ))
	}
	a.Node.Type = typ
	a.Node.Name, rest = name(rest)
	if a.Node.Name == "" {
		return fail("no node name")
	}
	var err error
	if strings.HasPrefix(rest, "[") {
		if a.Node.Key, rest, err = index(rest); err != nil {
			return fail(err.Error())
		}
		if a.Node.Key == "" {
			return fail("the key is empty")
		}
	}
	if rest == "" {
		return a, nil
	}
	if rest, ok = strings.CutPrefix(rest, "."); !ok {
		return fail("unexpected " + strconv.Quote(rest))
	}
	if a.Kind, rest = name(rest); a.Kind == "" {
		return fail("no kind")
	}
	if a.Key, rest, err = index(rest); err != nil {
		return fail(err.Error())
	}
	if rest != "" {
		return fail("unexpected " + strconv.Quote(rest))
	}
	return a, nil
}

// ParseLocal reads an object's address within a node, as Local prints it.
func ParseLocal(node NodeAddr, s string) (Addr, error) {
	kind, rest := name(s)
	key, rest, err := index(rest)
	if kind == "" || err != nil || rest != "" {
		return Addr{}, fmt.Errorf("invalid address %q within %s: want KIND[\"key\"]", s, node)
	}
	return Addr{Node: node, Kind: kind, Key: key}, nil
}

// ValidName says whether s can name a node: [A-Za-z0-9][A-Za-z0-9_-]*.
func ValidName(s string) bool {
	n, rest := name(s)
	return n != "" && rest == "" && s[0] != '_' && s[0] != '-'
}

func name(s string) (name, rest string) {
	i := 0
	for i < len(s) && (isAlnum(s[i]) || s[i] == '_' || s[i] == '-') {
		i++
	}
	return s[:i], s[i:]
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// index reads a quoted key in brackets.
func index(s string) (key, rest string, err error) {
	if !strings.HasPrefix(s, `["`) {
		return "", "", fmt.Errorf("no key in brackets")
	}
	q, err := strconv.QuotedPrefix(s[1:])
	if err != nil {
		return "", "", fmt.Errorf("the key's quotes do not close")
	}
	if key, err = strconv.Unquote(q); err != nil {
		return "", "", fmt.Errorf("the key is not a quoted string")
	}
	rest, ok := strings.CutPrefix(s[1+len(q):], "]")
	if !ok {
		return "", "", fmt.Errorf("the bracket does not close")
	}
	return key, rest, nil
}

// quote is strconv.Quote with a short way for the plain keys that nearly all are.
func quote(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return strconv.Quote(s)
		}
	}
	return `"` + s + `"`
}

// escape makes a key fit for a file name: every byte but letters, digits and _ . - becomes %XX, and so does a leading dot.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlnum(c) || c == '_' || c == '-' || c == '.' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
