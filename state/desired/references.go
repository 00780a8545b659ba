package desired

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// A reference is one thing that expressions speak of: var.NAME, local.NAME, host.FACT, stage.NAME["key"].KIND["key"].attr.
type reference struct {
	root string
	name string        // empty where the root is spoken of as a whole
	rest hcl.Traversal // after the name
	at   hcl.Range
	also []hcl.Range // where else the same is spoken of
	bad  bool        // reported; whatever is made of it fails quietly
	// named says that only its name matters, so that a node may refer to what is in itself.
	named bool
}

// references hold what a block's expressions speak of, each once, at its first place.
type references map[string]*reference

// add takes up a traversal unless its root is the iterator of a dynamic block around.
func (rs references) add(t hcl.Traversal, shadow []string, named bool) {
	root := t.RootName()
	if slices.Contains(shadow, root) {
		return
	}
	r := &reference{root: root, at: t.SourceRange(), named: named && isNodeType(root)}
	var id strings.Builder
	id.WriteString(root)
	for i, step := range t[1:] {
		if i == 5 {
			break
		}
		name, ok := stepName(step)
		if !ok {
			break
		}
		if i == 0 {
			r.name, r.rest = name, t[2:]
		}
		if _, attr := step.(hcl.TraverseAttr); attr {
			id.WriteByte('.')
		} else {
			id.WriteByte('[')
		}
		id.WriteString(name)
	}
	rs.put(id.String(), r)
}

// put keeps the first place of a reference as its own.
func (rs references) put(id string, r *reference) {
	old := rs[id]
	if old != nil {
		r.named = r.named && old.named
		old.named = r.named
	}
	switch {
	case old == nil:
		rs[id] = r
	case before(r.at, old.at):
		r.also = append(append(r.also, old.also...), old.at)
		rs[id] = r
	default:
		old.also = append(append(old.also, r.also...), r.at)
	}
}

// list is the references by place.
func (rs references) list() []*reference {
	list := make([]*reference, 0, len(rs))
	for _, id := range sortedKeys(rs) {
		list = append(list, rs[id])
	}
	slices.SortStableFunc(list, func(a, b *reference) int { return comparePlace(a.at, b.at) })
	return list
}

// stepName is the name or string key of a step.
func stepName(step hcl.Traverser) (string, bool) {
	switch s := step.(type) {
	case hcl.TraverseAttr:
		return s.Name, true
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
			return s.Key.AsString(), true
		}
	}
	return "", false
}

// index is a step's key when it is one in brackets.
func indexKey(step hcl.Traverser) (string, bool) {
	if _, ok := step.(hcl.TraverseIndex); !ok {
		return "", false
	}
	return stepName(step)
}

func comparePlace(a, b hcl.Range) int {
	return cmp.Or(strings.Compare(a.Filename, b.Filename), cmp.Compare(a.Start.Byte, b.Start.Byte), cmp.Compare(a.End.Byte, b.End.Byte))
}

func before(a, b hcl.Range) bool { return comparePlace(a, b) < 0 }

func isNodeType(root string) bool {
	return root == state.StageNode || root == state.PluginNode || root == state.NetworkNode
}

// isNode says whether the reference is one to a node or something in it.
func (r *reference) isNode() bool { return isNodeType(r.root) && r.name != "" }
