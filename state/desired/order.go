package desired

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/graph"
)

// An item is something that is evaluated once, after all that its references speak of.
type item struct {
	id   string // as expressions speak of it: var.a, local.a, stage.a; output.a and opdbus, of which nothing speaks
	at   hcl.Range
	refs []*reference
	eval func()
}

const settingsID = "opdbus"

// items lists everything that is evaluated, with references checked as far as can be told beforehand.
func (l *loader) items() map[string]*item {
	items := map[string]*item{}
	add := func(it *item) { items[it.id] = it }
	set := &item{id: settingsID, eval: l.evalSettings}
	if l.settings != nil {
		set.at, set.refs = l.settings.block.def(), l.settings.refs
	}
	add(set)
	for name, v := range l.variables {
		add(&item{"var." + name, v.at, v.refs, func() { l.validate(v) }})
	}
	for name, lo := range l.locals {
		add(&item{"local." + name, lo.at, lo.refs, func() { l.evalLocal(lo) }})
	}
	for _, o := range l.outputs {
		add(&item{"output." + o.Name, o.at, o.refs, func() { l.evalOutput(o) }})
	}
	for id, n := range l.nodes {
		add(&item{id, n.def, n.refs, func() { l.evalNode(n) }})
	}
	for _, id := range sortedKeys(items) {
		for _, r := range items[id].refs {
			l.checkReference(r, id)
		}
	}
	return items
}

// evaluate evaluates the items, each after what it needs. Those that need each other are reported and left out; what
// needs them fails quietly.
func (l *loader) evaluate(ctx context.Context, items map[string]*item) {
	left := map[string]*item{}
	for id, it := range items {
		left[id] = it
	}
	for {
		g := graph.New(strings.Compare)
		for _, id := range sortedKeys(left) {
			g.Add(id)
			for _, on := range needs(left[id]) {
				if left[on] != nil {
					g.Need(id, on)
				}
			}
		}
		order, err := g.Sort()
		var cycle *graph.CycleError[string]
		if errors.As(err, &cycle) {
			for _, c := range cycle.Cycles {
				l.itemCycle(c, items)
				for _, id := range c {
					l.fail(id)
					delete(left, id)
				}
			}
			continue
		}
		for _, id := range order {
			if ctx.Err() != nil {
				return
			}
			left[id].eval()
		}
		return
	}
}

// needs lists the items that have to be evaluated before.
func needs(it *item) []string {
	var ids []string
	if isNodeID(it.id) {
		ids = append(ids, settingsID)
	}
	for _, r := range it.refs {
		if on := r.root + "." + r.name; on != it.id || !strings.HasPrefix(it.id, "var.") && !r.named {
			ids = append(ids, on)
		}
	}
	return ids
}

func isNodeID(id string) bool {
	typ, _, _ := strings.Cut(id, ".")
	return isNodeType(typ)
}

// fail marks what cannot be evaluated because it is part of a cycle.
func (l *loader) fail(id string) {
	if n := l.nodes[id]; n != nil {
		n.failed = true
	}
}

// itemCycle reports things that need each other to be evaluated.
func (l *loader) itemCycle(ids []string, items map[string]*item) {
	var at hcl.Range
	var lines []string
	for i, id := range ids[:len(ids)-1] {
		next := ids[i+1]
		if i == 0 {
			at = items[id].at
		}
		why := "it needs the settings"
		for _, r := range items[id].refs {
			if r.root+"."+r.name == next {
				why = "a reference at " + l.at(r.at)
				if i == 0 {
					at = r.at
				}
				break
			}
		}
		lines = append(lines, fmt.Sprintf("  %s needs %s: %s", id, next, why))
	}
	l.cycle(at, ids, lines)
}

// cycle is the diagnostic of every cycle.
func (l *loader) cycle(at hcl.Range, names, lines []string) {
	if len(names) == 2 {
		l.errorf(at, "Self-reference", "%s needs itself:\n%s\nUse a local value for what several of its arguments share.", names[0], strings.Join(lines, "\n"))
		return
	}
	l.errorf(at, "Cycle", "%s.\n%s\nRemove one of these ties.", strings.Join(names, " needs "), strings.Join(lines, "\n"))
}
