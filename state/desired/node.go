package desired

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// A node is one node block: with for_each, several nodes of a configuration.
type node struct {
	typ, name string
	block     *block
	content   content
	def       hcl.Range
	catalogue *catalogue
	forEach   hcl.Expression
	each      map[string]cty.Value // what for_each goes over
	depends   []dependency
	gateRefs  []*reference
	refs      []*reference // all, those of the gate too
	instances []*instance  // by key
	failed    bool

	// What others read of it: nothing, some attributes and kinds, or all.
	reads    map[string]bool
	readsAll bool
	cached   *nodeValue
}

// An instance is one node of a configuration, or one that is left out.
type instance struct {
	of       *node
	addr     state.NodeAddr
	node     *state.Node
	disabled bool   // left out, silently
	skipped  string // left out, and why
	self     extras
	source   string           // as written, where Self has it absolute
	extras   map[int][]string // what was null, by place in Objects
}

func (n *node) id() string { return n.typ + "." + n.name }

// takeNode takes up a node block and surveys it.
func (l *loader) takeNode(b *block) {
	addr := state.NodeAddr{Type: b.kind, Name: b.labels[0]}
	if !state.ValidName(addr.Name) {
		at := b.def()
		if b.native != nil {
			at = b.native.LabelRanges[0]
		}
		l.errorf(at, "Invalid node name", "%q is no name for a node: it begins with a letter or digit and has letters, digits, underscores and dashes only.", addr.Name)
		return
	}
	n := &node{typ: addr.Type, name: addr.Name, block: b, def: b.def(), reads: map[string]bool{}}
	if old := l.nodes[n.id()]; old != nil {
		l.duplicate(n.typ, n.name, n.def, old.def)
		return
	}
	l.nodes[n.id()] = n
	n.catalogue = l.catalogueOf(addr)
	if n.catalogue.self == nil {
		n.failed = true
		l.errorf(n.def, "Unsupported node", "This version of opdbus has no provider for %s blocks.", n.typ)
		return
	}
	l.surveyNode(n)
}

func (l *loader) surveyNode(n *node) {
	w := n.catalogue.words
	s := &survey{report: l.hclDiags, refs: references{}, unknown: n.unknownBlock}
	s.body(n.block.body, w, n.def)
	n.content, _ = open(n.block.body, w)
	gate := &survey{refs: references{}}
	for _, name := range []string{"for_each", "enabled", "requires_feature"} {
		if e := n.content.attr(name); e != nil {
			gate.expr(e)
		}
	}
	n.forEach = n.content.attr("for_each")
	n.depends = l.dependencies(n.content.attr("dependencies"), s)
	for id, r := range gate.refs {
		s.refs.put(id, r)
	}
	n.refs = s.refs.list()
	for id := range gate.refs {
		n.gateRefs = append(n.gateRefs, s.refs[id]) // checked with the others
	}
	slices.SortFunc(n.gateRefs, func(a, b *reference) int { return comparePlace(a.at, b.at) })
}

// unknownBlock explains a block that is no kind of a plugin's.
func (n *node) unknownBlock(kind string) (summary, detail string) {
	if n.typ != state.PluginNode {
		return "", ""
	}
	kinds := sortedKeys(n.catalogue.kinds)
	detail = fmt.Sprintf("The plugin %q has no kind %q in this version of opdbus.%s", n.name, kind, didYouMean(kind, n.catalogue.words.names()))
	if len(kinds) > 0 {
		detail += " Its kinds are " + strings.Join(kinds, ", ") + "."
	}
	return "Unsupported block type", detail
}

// readable lists the names that may follow the node's in a reference.
func (n *node) readable() []string {
	names := []string{"name"}
	if n.typ == state.StageNode {
		names = append(names, "path")
	}
	for _, a := range n.catalogue.self.attrs {
		if !slices.Contains(names, a.name) {
			names = append(names, a.name)
		}
	}
	return append(names, sortedKeys(n.catalogue.kinds)...)
}

// isOwn says whether the name is one of the block's own attributes.
func (n *node) isOwn(name string) bool {
	return name == "name" || name == "path" && n.typ == state.StageNode || n.catalogue.self.attr(name) != nil
}

// attrStep is the attribute or kind that a reference to the node names; not ok when it names the node as a whole.
func (n *node) attrStep(r *reference) (name string, ok bool) {
	rest := r.rest
	if n.forEach != nil && len(rest) > 0 {
		if _, isIndex := rest[0].(hcl.TraverseIndex); !isIndex {
			return "", false
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return "", false
	}
	return stepName(rest[0])
}

// read notes that somebody reads an attribute or kind; everything when the name is empty.
func (n *node) read(name string) {
	if name == "" {
		n.readsAll = true
		return
	}
	n.reads[name] = true
}

// instance finds an instance by its key; nil when there is none.
func (n *node) instance(key string) *instance {
	i, ok := slices.BinarySearchFunc(n.instances, key, func(in *instance, key string) int { return strings.Compare(in.addr.Key, key) })
	if !ok {
		return nil
	}
	return n.instances[i]
}

func (n *node) keys() []string {
	var keys []string
	for _, in := range n.instances {
		keys = append(keys, in.addr.Key)
	}
	return keys
}

// absent says why the instance is left out; empty when it is not.
func (in *instance) absent() string {
	if in.disabled {
		return "enabled is false"
	}
	return in.skipped
}

// live says whether the instance is a node of the configuration.
func (in *instance) live() bool { return in.node != nil && in.absent() == "" }
