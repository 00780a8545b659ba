package reconciler

import (
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
)

// within has the node that makes a directory come before those that put something into it, and the one that removes it after
// those that take something out: nothing tells that but the paths. So both ways, what is taken back goes from the inside out,
// and no directory stays behind because something was still in it. Where the configuration has the other order, that counts.
func within(g *graph.Graph[state.NodeAddr], changes map[state.NodeAddr][]state.Change) {
	if len(changes) < 2 {
		return
	}
	type place struct {
		node state.NodeAddr
		gone bool
	}
	nodes := slices.SortedFunc(maps.Keys(changes), state.NodeAddr.Compare)
	places := map[string]place{}
	for _, n := range nodes {
		for i := range changes[n] {
			if thing, gone := thingOf(&changes[n][i]); thing != "" {
				places[thing] = place{n, gone}
			}
		}
	}
	for _, n := range nodes {
		seen := map[string]bool{}
		for i := range changes[n] {
			thing, gone := thingOf(&changes[n][i])
			for at := strings.LastIndexByte(thing, '/'); at > 0 && !seen[thing[:at]]; at = strings.LastIndexByte(thing, '/') {
				thing = thing[:at]
				seen[thing] = true
				dir, there := places[thing]
				switch {
				case !there || dir.node == n || dir.gone != gone:
				case gone && !reaches(g, n, dir.node):
					g.Need(dir.node, n)
				case !gone && !reaches(g, dir.node, n):
					g.Need(n, dir.node)
				}
			}
		}
	}
}

// thingOf is the thing on the host that a change makes, or that it removes; empty when it is neither.
func thingOf(c *state.Change) (thing string, gone bool) {
	o := c.After
	if o == nil {
		o, gone = c.Before, true
	}
	if t, ok := o.(state.Thing); ok && !c.Forget {
		return t.Thing(), gone
	}
	return "", gone
}

// reaches says whether a node needs another, directly or through others.
func reaches(g *graph.Graph[state.NodeAddr], a, on state.NodeAddr) bool {
	seen := map[state.NodeAddr]bool{a: true}
	for next := []state.NodeAddr{a}; len(next) > 0; next = next[1:] {
		for _, n := range g.Needs(next[0]) {
			if n == on {
				return true
			}
			if !seen[n] {
				seen[n] = true
				next = append(next, n)
			}
		}
	}
	return false
}
