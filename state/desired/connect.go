package desired

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
)

// Why one node depends on another.
const (
	whyDependencies = "dependencies"
	whyReference    = "a reference"
	whyRegisters    = "registers it"
)

// connect ties the nodes together: by their dependencies, by what they refer to, and plugins to the stage that registers
// them. It reports the nodes that need each other.
func (l *loader) connect() {
	registrars := l.registrars()
	g := graph.New(state.NodeAddr.Compare)
	for _, id := range sortedKeys(l.nodes) {
		n := l.nodes[id]
		var ctx *hcl.EvalContext
		var referred []state.Dependency
		for _, in := range n.instances {
			if !in.live() {
				continue
			}
			if ctx == nil {
				ctx = l.scope(n.refs)
				referred = l.referred(n, n.refs, hcl.Range{}, map[string]bool{})
			}
			g.Add(in.addr)
			deps := append(l.explicit(in, ctx), referred...)
			if by := registrars[n.name]; n.typ == state.PluginNode && by != nil {
				deps = append(deps, state.Dependency{On: by.addr, Why: whyRegisters, Source: by.node.Attr("plugins")})
			}
			in.node.DependsOn = distinct(deps)
			for _, d := range in.node.DependsOn {
				g.Need(in.addr, d.On)
			}
		}
	}
	_, err := g.Sort()
	var cycle *graph.CycleError[state.NodeAddr]
	if errors.As(err, &cycle) {
		for _, c := range cycle.Cycles {
			l.nodeCycle(c)
		}
	}
}

// explicit is what the dependencies argument says.
func (l *loader) explicit(in *instance, ctx *hcl.EvalContext) []state.Dependency {
	var deps []state.Dependency
	if in.addr.Key != "" && len(in.of.depends) > 0 {
		ctx = l.eachScope(ctx, in.of, in.addr.Key)
	}
	for _, d := range in.of.depends {
		for _, on := range l.resolve(d, ctx) {
			if on.live() {
				deps = append(deps, state.Dependency{On: on.addr, Why: whyDependencies, Source: rangeOf(d.expr.Range())})
			}
		}
	}
	return deps
}

// referred is what references come to, those in the local values that they name included. at is the place of the
// reference that led here; zero for the first.
func (l *loader) referred(n *node, refs []*reference, at hcl.Range, seen map[string]bool) []state.Dependency {
	var deps []state.Dependency
	for _, r := range refs {
		place := at
		if place.Filename == "" {
			place = r.at
		}
		switch {
		case r.bad:
		case r.root == "local" && !seen[r.name]:
			seen[r.name] = true
			deps = append(deps, l.referred(n, l.locals[r.name].refs, place, seen)...)
		case r.isNode() && l.nodes[r.root+"."+r.name] != n:
			for _, in := range l.meant(r) {
				deps = append(deps, state.Dependency{On: in.addr, Why: whyReference, Source: rangeOf(place)})
			}
		}
	}
	return deps
}

// meant lists the instances that a reference speaks of: one, or all of the node's.
func (l *loader) meant(r *reference) []*instance {
	n := l.nodes[r.root+"."+r.name]
	if n.forEach != nil && len(r.rest) > 0 {
		if key, ok := indexKey(r.rest[0]); ok {
			if in := n.instance(key); in != nil && in.live() {
				return []*instance{in}
			}
			return nil
		}
	}
	return slices.DeleteFunc(slices.Clone(n.instances), func(in *instance) bool { return !in.live() })
}

// registrars finds the stage that registers each plugin.
func (l *loader) registrars() map[string]*instance {
	by := map[string]*instance{}
	for _, id := range sortedKeys(l.nodes) {
		n := l.nodes[id]
		if n.typ != state.StageNode || n.catalogue.self == nil {
			continue
		}
		a := n.catalogue.self.attr("plugins")
		if a == nil || a.raw {
			continue
		}
		for _, in := range n.instances {
			if in.live() && in.node.Self != nil {
				l.register(in, a, by)
			}
		}
	}
	return by
}

func (l *loader) register(in *instance, a *attrField, by map[string]*instance) {
	plugins, _ := reflect.ValueOf(in.node.Self).Field(a.index).Interface().([]string)
	at := in.node.Attr("plugins")
	for _, p := range plugins {
		old := by[p]
		switch {
		case !state.ValidName(p):
			l.diags.Errorf(at, "Invalid plugin name", "%q is no name for a plugin: it begins with a letter or digit and has letters, digits, underscores and dashes only.", p)
		case old == in:
			l.diags.Errorf(at, "Duplicate plugin", "%s lists the plugin %q twice.", in.addr, p)
		case old != nil:
			l.diags.Errorf(at, "Plugin registered twice", "%s registers the plugin %q, which %s registers already, at %s. A plugin is registered by one stage.", in.addr, p, old.addr, placeText(old.node.Attr("plugins")))
		default:
			by[p] = in
		}
	}
}

// distinct sorts dependencies by address and keeps the first reason for each.
func distinct(deps []state.Dependency) []state.Dependency {
	slices.SortStableFunc(deps, func(a, b state.Dependency) int { return a.On.Compare(b.On) })
	return slices.CompactFunc(deps, func(a, b state.Dependency) bool { return a.On == b.On })
}

// nodeCycle reports nodes that need each other, with what ties each to the next.
func (l *loader) nodeCycle(cycle []state.NodeAddr) {
	var at state.Range
	var names, lines []string
	for i, a := range cycle {
		names = append(names, a.String())
		if i == len(cycle)-1 {
			break
		}
		n := l.nodes[a.Type+"."+a.Name].instance(a.Key).node
		for _, d := range n.DependsOn {
			if d.On == cycle[i+1] {
				lines = append(lines, fmt.Sprintf("  %s needs %s: %s", a, d.On, because(d)))
				if i == 0 {
					at = d.Source
				}
			}
		}
	}
	l.cycle(hclRange(at), names, lines)
}

// because says what makes a dependency, with its place.
func because(d state.Dependency) string {
	if d.Why == whyRegisters {
		return "which " + d.Why + " at " + placeText(d.Source)
	}
	return d.Why + " at " + placeText(d.Source)
}
