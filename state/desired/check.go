package desired

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// checkReference reports a reference to what is not declared, and marks it so that its evaluation fails quietly. by is the
// item that it is found in.
func (l *loader) checkReference(r *reference, by string) {
	switch r.root {
	case "var":
		l.checkNamed(r, "input variable", "variable %q {}", sortedKeys(l.variables))
	case "local":
		l.checkNamed(r, "local value", "locals { %s = … }", sortedKeys(l.locals))
	case "path":
		l.checkFixed(r, []string{"module"})
	case "host":
		l.checkFixed(r, factNames())
	case "each":
		if n := l.nodes[by]; n == nil || n.forEach == nil {
			l.bad(r, "Reference to each without for_each", "each.key and each.value can be used in a node block that has for_each.")
			return
		}
		l.checkFixed(r, []string{"key", "value"})
	case state.StageNode, state.PluginNode, state.NetworkNode:
		l.checkNodeReference(r)
	default:
		hint := didYouMean(r.root, []string{"var", "local", "each", "path", "host", "stage", "plugin", "network"})
		if hint == "" && r.name == "" {
			hint = " If the text itself is meant, put it in quotes: \"" + r.root + "\"."
		}
		l.bad(r, "Unknown variable", "There is no variable named %q.%s", r.root, hint)
	}
}

func (l *loader) bad(r *reference, summary, detail string, args ...any) {
	r.bad = true
	l.errorf(r.at, summary, detail, args...)
	for _, at := range r.also {
		l.errorf(at, summary, detail, args...)
	}
}

func (l *loader) checkNamed(r *reference, what, how string, names []string) {
	switch _, found := slices.BinarySearch(names, r.name); {
	case r.name == "":
		l.bad(r, "Invalid reference", "%q cannot be used as a whole; name one %s, as in %s.NAME.", r.root, what, r.root)
	case !found:
		hint := didYouMean(r.name, names)
		if hint == "" {
			hint = " Declare it: " + strings.ReplaceAll(strings.ReplaceAll(how, "%q", `"`+r.name+`"`), "%s", r.name) + "."
		}
		l.bad(r, "Reference to undeclared "+what, "There is no %s %q.%s", what, r.name, hint)
	}
}

func (l *loader) checkFixed(r *reference, names []string) {
	if r.name != "" && !slices.Contains(names, r.name) {
		l.bad(r, "Unsupported attribute", "%s has no attribute %q; it has %s.%s", r.root, r.name, strings.Join(names, ", "), didYouMean(r.name, names))
	}
}

// checkNodeReference checks what can be told before the node is evaluated: that it is declared, and that it has such an
// attribute or kind of blocks.
func (l *loader) checkNodeReference(r *reference) {
	if r.name == "" {
		l.bad(r, "Invalid reference", "%q cannot be used as a whole; name one node, as in %s.NAME.", r.root, r.root)
		return
	}
	n := l.nodes[r.root+"."+r.name]
	if n == nil {
		l.bad(r, "Reference to undeclared node", "There is no %s %q in this configuration.%s", r.root, r.name, l.meantNode(r.root, r.name))
		return
	}
	name, ok := n.attrStep(r)
	if n.read(name); ok && n.catalogue.self != nil && !slices.Contains(n.readable(), name) {
		l.bad(r, "Unsupported attribute", "%s has no attribute %q.%s", n.id(), name, didYouMean(name, n.readable()))
	}
}

// checkNode checks, when the node has been evaluated, that it is there and holds the object that the reference names.
func (l *loader) checkNode(r *reference) {
	n := l.nodes[r.root+"."+r.name]
	if r.bad || n == nil || n.failed {
		return
	}
	rest, key, keyed := r.rest, "", false
	if n.forEach != nil && len(rest) > 0 {
		if key, keyed = indexKey(rest[0]); keyed {
			rest = rest[1:]
		}
	}
	if n.forEach == nil || keyed {
		in := n.instance(key)
		if in == nil {
			l.bad(r, "Reference to undeclared node", "%s has no instance %q.%s", n.id(), key, didYouMean(key, n.keys()))
			return
		}
		if why := in.absent(); why != "" {
			l.bad(r, "Reference to a node that is left out", "%s is left out: %s. Leave out what refers to it in the same way.", in.addr, why)
			return
		}
		if len(rest) >= 2 {
			l.checkObject(r, in, rest)
		}
	}
}

func (l *loader) checkObject(r *reference, in *instance, rest hcl.Traversal) {
	kind, _ := stepName(rest[0])
	key, ok := indexKey(rest[1])
	if !ok || in.of.catalogue.kinds[kind] == nil || in.of.isOwn(kind) {
		return
	}
	var keys []string
	for i := range in.node.Objects {
		if a := &in.node.Objects[i].Addr; a.Kind == kind {
			if a.Key == key {
				return
			}
			keys = append(keys, a.Key)
		}
	}
	l.bad(r, "Reference to undeclared object", "%s has no %s %q.%s", in.addr, kind, key, didYouMean(key, keys))
}

// meantNode suggests a node for one that is not declared: of a close name, or of the same name and another type.
func (l *loader) meantNode(typ, name string) string {
	var names []string
	for _, id := range sortedKeys(l.nodes) {
		n := l.nodes[id]
		if n.typ == typ {
			names = append(names, n.name)
		} else if n.name == name {
			return " Did you mean " + id + "?"
		}
	}
	if s := suggest(name, names); s != "" {
		return " Did you mean " + typ + "." + s + "?"
	}
	return ""
}
