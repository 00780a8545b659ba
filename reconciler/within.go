package reconciler

import (
	"maps"
	"slices"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
)

// tangled finds what is put into a directory before that is made: by a node that the one that declares the directory needs.
func tangled(config *state.Config) state.Diagnostics {
	holders := map[string]*state.Declared{} // by the thing on the host
	for _, n := range config.Nodes {
		for i := range n.Objects {
			if h, ok := n.Objects[i].Object.(state.Holder); ok && h.Holds() {
				holders[h.Thing()] = &n.Objects[i]
			}
		}
	}
	if len(holders) == 0 {
		return nil
	}
	g := graph.New(state.NodeAddr.Compare)
	for _, n := range config.Nodes {
		g.Add(n.Addr)
		for _, d := range n.DependsOn {
			g.Need(n.Addr, d.On)
		}
	}
	var diags state.Diagnostics
	for _, n := range config.Nodes {
		in := map[state.NodeAddr]bool{n.Addr: true} // whose directories it is known to come after
		for i := range n.Objects {
			d := &n.Objects[i]
			t, ok := d.Object.(state.Thing)
			if !ok {
				continue
			}
			for dir := range dirsOf(t.Thing()) {
				holder := holders[dir]
				if holder == nil || in[holder.Addr.Node] {
					continue
				}
				if reaches(g, holder.Addr.Node, n.Addr) {
					diags.Errorf(at(d, "target"), "The directory is made too late",
						"The %s is in the %s, which is declared by %s: that comes after %s, which it needs. Declare the directory in %s, or what is in it in %s.",
						t.Thing(), dir, holder.Addr, n.Addr, n.Addr, holder.Addr.Node)
					continue
				}
				in[holder.Addr.Node] = true
				g.Need(n.Addr, holder.Addr.Node)
			}
		}
	}
	return diags
}

// at is the place of an object's attribute, the object's own where that is not known.
func at(d *state.Declared, attr string) state.Range {
	if d.Attr == nil {
		return d.Source
	}
	return d.Attr(attr)
}

// within has the node that makes a directory come before those that put something into it, and the one that removes it after
// those that take something out: nothing tells that but the paths. So both ways, what is taken back goes from the inside out,
// and no directory stays behind because something was still in it. Where the configuration has the other order, that counts.
func within(g *graph.Graph[state.NodeAddr], changes map[state.NodeAddr][]state.Change) {
	if len(changes) < 2 {
		return
	}
	nodes := slices.SortedFunc(maps.Keys(changes), state.NodeAddr.Compare)
	made, gone := map[string]state.NodeAddr{}, map[string]state.NodeAddr{} // what is made, or removed, and by which node
	for _, n := range nodes {
		for i := range changes[n] {
			to, from := things(&changes[n][i])
			if to != "" {
				made[to] = n
			}
			if from != "" {
				gone[from] = n
			}
		}
	}
	for _, n := range nodes {
		for i := range changes[n] {
			to, from := things(&changes[n][i])
			for dir := range dirsOf(to) {
				if of, there := made[dir]; there && of != n && !reaches(g, of, n) {
					g.Need(n, of)
				}
			}
			for dir := range dirsOf(from) {
				if of, there := made[dir]; there && of != n && !reaches(g, of, n) { // or it would go with what is in it
					g.Need(n, of)
				}
				if of, there := gone[dir]; there && of != n && !reaches(g, n, of) {
					g.Need(of, n)
				}
			}
		}
	}
}

// things are the thing on the host that a change makes or keeps, and the one that it removes; each empty when there is none.
func things(c *state.Change) (to, from string) {
	if c.Forget {
		return "", ""
	}
	if t, ok := c.After.(state.Thing); ok {
		to = t.Thing()
	}
	if t, ok := c.Before.(state.Thing); ok {
		from = t.Thing()
	}
	if from == to {
		from = ""
	}
	return to, from
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
