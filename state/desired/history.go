package desired

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

type movedBlock struct {
	From hcl.Expression `hcl:"from"`
	To   hcl.Expression `hcl:"to"`
}

type removedBlock struct {
	From      hcl.Expression         `hcl:"from"`
	Lifecycle *removedLifecycleBlock `hcl:"lifecycle,block"`
}

type removedLifecycleBlock struct {
	Destroy *bool `hcl:"destroy,optional"`
}

// moved reads a moved block: what the ledger knows as from is now to.
func (l *loader) moved(b *block) {
	var m movedBlock
	if !l.constant(b, &m) {
		return
	}
	from, ok := l.addr(m.From)
	to, ok2 := l.addr(m.To)
	if !ok || !ok2 {
		return
	}
	switch {
	case from.IsNode() != to.IsNode() || from.Kind != to.Kind || from.Node.Type != to.Node.Type:
		l.errorf(b.def(), "Invalid move", "%s cannot become %s: both ends of a move are nodes of one type, or objects of one kind.", from, to)
		return
	case from == to:
		l.errorf(b.def(), "Invalid move", "%s is moved to itself.", from)
		return
	case l.declares(from):
		l.errorf(b.def(), "Moved object still exists", "The configuration still declares %s, which this block says is now %s. Remove one of them.", from, to)
		return
	}
	for _, old := range l.config.Moved {
		if old.From == from {
			l.errorf(b.def(), "Ambiguous move", "%s is moved to %s already, at %s.", from, old.To, placeText(old.Source))
			return
		}
		if old.To == to {
			l.errorf(b.def(), "Ambiguous move", "%s is moved to %s already, at %s.", old.From, to, placeText(old.Source))
			return
		}
	}
	l.config.Moved = append(l.config.Moved, state.Move{From: from, To: to, Source: rangeOf(b.def())})
}

// removed reads a removed block: from is no longer declared, and deleted or forgotten.
func (l *loader) removed(b *block) {
	var r removedBlock
	if !l.constant(b, &r) {
		return
	}
	from, ok := l.addr(r.From)
	if !ok {
		return
	}
	if l.declares(from) {
		l.errorf(b.def(), "Removed object still exists", "The configuration still declares %s. Remove its block, or this one.", from)
		return
	}
	for _, old := range l.config.Removed {
		if old.From == from {
			l.errorf(b.def(), "Duplicate removed block", "There is already a removed block for %s, at %s.", from, placeText(old.Source))
			return
		}
	}
	destroy := r.Lifecycle == nil || r.Lifecycle.Destroy == nil || *r.Lifecycle.Destroy
	l.config.Removed = append(l.config.Removed, state.Removal{From: from, Destroy: destroy, Source: rangeOf(b.def())})
}

// constant decodes a block in which nothing can be referred to.
func (l *loader) constant(b *block, into any) bool {
	before := len(l.diags)
	v := reflect.ValueOf(into).Elem()
	s := l.shapes.of(v.Type())
	sv := &survey{report: l.hclDiags, refs: references{}}
	sv.body(b.body, s.words, b.def())
	for _, r := range sv.refs.list() {
		l.errorf(r.at, "Variables not allowed", "The arguments of a %s block cannot refer to anything.", b.kind)
	}
	l.decoder().block(b, s, nil, v)
	return !l.diags[before:].HasErrors()
}

// declares says whether the configuration has the node, instance or object. A node block with for_each is declared as a
// whole by its name without a key only in its instances.
func (l *loader) declares(a state.Addr) bool {
	n := l.nodes[a.Node.Type+"."+a.Node.Name]
	if n == nil {
		return false
	}
	in := n.instance(a.Node.Key)
	if in == nil || a.IsNode() {
		return in != nil
	}
	if in.node == nil {
		return false
	}
	for i := range in.node.Objects {
		if in.node.Objects[i].Addr == a {
			return true
		}
	}
	return false
}
