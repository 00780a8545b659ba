package reconciler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// order puts the nodes that change in the order in which they are changed: what is needed first. A node that goes is
// changed after the nodes that needed it, and after those that take something over from it.
func (r *Reconciler) order(config *state.Config, owned *ledger.Ledger, changes map[state.NodeAddr][]state.Change, destroy bool) ([]*state.NodePlan, error) {
	g := graph.New(state.NodeAddr.Compare)
	for _, n := range config.Nodes {
		g.Add(n.Addr)
		for _, d := range n.DependsOn {
			if !destroy {
				g.Need(n.Addr, d.On)
			}
		}
	}
	for _, a := range owned.Addrs() {
		g.Add(a)
		for _, on := range owned.Node(a).DependsOn {
			if (destroy || config.Node(on) == nil) && owned.Node(on) != nil {
				g.Need(on, a)
			}
		}
	}
	moved := map[state.NodeAddr]int{} // how much of a node others take over
	for a, cs := range changes {
		for _, c := range cs {
			if c.MadeAt == (state.Addr{}) || c.MadeAt.Node == a {
				continue
			}
			moved[c.MadeAt.Node]++
			if config.Node(c.MadeAt.Node) == nil {
				g.Need(c.MadeAt.Node, a)
			}
		}
	}
	within(g, changes)
	sorted, err := g.Sort()
	if err != nil {
		return nil, err
	}
	var plans []*state.NodePlan
	for _, a := range sorted {
		cs, empty := changes[a], emptied(owned.Node(a), changes[a], moved[a])
		if len(cs) == 0 && !empty {
			continue
		}
		np := &state.NodePlan{Addr: a, Changes: r.sequence(cs), After: after(g, a, changes)}
		if n := config.Node(a); n != nil {
			for _, d := range n.DependsOn {
				np.DependsOn = append(np.DependsOn, d.On)
			}
			np.Verify, np.Health, np.Source, np.Protected = n.Verify, n.Health, n.Source, n.Lifecycle.PreventDestroy
		}
		np.Delete = empty || r.goes(owned.Node(a), cs, moved[a])
		np.TakesBack = r.takesBack(cs)
		np.Disturbs = r.disturbs(cs)
		plans = append(plans, np)
	}
	queue(plans)
	return plans, nil
}

// queue has the nodes that hand things over to each other come one after the other, as they stand in the plan. What a step
// records of the ledger is put back in reverse, which comes to what was there only where no other step changed the same node's
// entries at the same time.
func queue(plans []*state.NodePlan) {
	last := map[state.NodeAddr]*state.NodePlan{} // to change the node's entries
	for _, np := range plans {
		turn := func(of state.NodeAddr) {
			before := last[of]
			last[of] = np
			if before != nil && before != np && !slices.Contains(np.After, before.Addr) {
				np.After = append(np.After, before.Addr)
			}
		}
		turn(np.Addr)
		for _, c := range np.Changes {
			if c.MadeAt != (state.Addr{}) {
				turn(c.MadeAt.Node)
			}
		}
	}
}

// after lists the nearest nodes with changes that a needs, directly or through nodes without changes.
func after(g *graph.Graph[state.NodeAddr], a state.NodeAddr, changes map[state.NodeAddr][]state.Change) []state.NodeAddr {
	var found []state.NodeAddr
	seen := map[state.NodeAddr]bool{a: true}
	for next := g.Needs(a); len(next) > 0; {
		n := next[0]
		next = next[1:]
		if seen[n] {
			continue
		}
		seen[n] = true
		if len(changes[n]) > 0 {
			found = append(found, n)
		} else {
			next = append(next, g.Needs(n)...)
		}
	}
	slices.SortFunc(found, state.NodeAddr.Compare)
	return found
}

// together puts the changes of a kind next to each other, so that they are made in one go: only their provider knows in which order
// what goes has to go.
func together(changes []state.Change) {
	var kinds []string
	for _, c := range changes {
		if !slices.Contains(kinds, c.Addr.Kind) {
			kinds = append(kinds, c.Addr.Kind)
		}
	}
	if len(kinds) > 1 {
		slices.SortStableFunc(changes, func(a, b state.Change) int {
			return cmp.Compare(slices.Index(kinds, a.Addr.Kind), slices.Index(kinds, b.Addr.Kind))
		})
	}
}

// sequence is the order of changes within a node: first what goes, last made first, then what is made or changed, as
// declared, and at the end what goes of kinds that overlap. All changes of a kind that lives in the node's tree stand together, so that they
// become one exchange.
func (r *Reconciler) sequence(changes []state.Change) []state.Change {
	// Each change gets the number of the group that it is in; what goes is in group 0.
	group := make([]int, len(changes))
	kinds := []*state.Kind{nil}
	for i, c := range changes {
		k := r.Kinds.For(c.Addr)
		at := len(kinds) - 1
		switch {
		case k.InTree:
			at = slices.Index(kinds, k)
		case (c.After == nil || c.Forget) && k.Overlapping:
			group[i] = len(changes) + 1
			continue
		case c.After == nil || c.Forget:
			continue
		}
		if at < 0 || kinds[at] != k {
			kinds, at = append(kinds, k), len(kinds)
		}
		group[i] = at
	}
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(group[i], group[j]) })
	sorted := make([]state.Change, len(changes))
	goes := 0
	for to, from := range order {
		sorted[to] = changes[from]
		if group[from] == 0 {
			goes++
		}
	}
	together(sorted[:goes])
	// What fires a trigger may be in the same node, and declared after what it is fired for.
	slices.SortStableFunc(sorted[goes:], func(a, b state.Change) int { return cmp.Compare(min(len(a.Trigger), 1), min(len(b.Trigger), 1)) })
	return sorted
}

// emptied says whether others take over all that a node has, or have done so in a run that did not come to the node itself.
func emptied(owned *ledger.Node, changes []state.Change, moved int) bool {
	return owned != nil && moved == len(owned.Objects) && !slices.ContainsFunc(changes, func(c state.Change) bool { return c.After != nil })
}

// goes says whether nothing of a node is owned after its changes, and nothing of it was only given up.
func (r *Reconciler) goes(owned *ledger.Node, changes []state.Change, moved int) bool {
	if owned == nil {
		return false
	}
	gone := moved
	for _, c := range changes {
		switch {
		case c.After != nil && !c.Forget, c.Forget && c.Note == "":
			return false
		}
		gone++
	}
	return gone >= len(owned.Objects)
}

// takesBack says how a node's changes are taken back.
func (r *Reconciler) takesBack(changes []state.Change) string {
	var tree, inverse bool
	var never []string
	for _, c := range changes {
		k := r.Kinds.For(c.Addr)
		if k.InTree {
			tree = true
		} else {
			inverse = true
		}
		if why := k.Irreversible(c); why != "" && !slices.Contains(never, why) {
			never = append(never, why)
		}
	}
	switch {
	case len(never) > 0:
		return "not at all: " + strings.Join(never, "; ")
	case tree && inverse:
		return "snapshot and inverse"
	case tree:
		return "snapshot"
	}
	return "inverse"
}

// disturbs says what else the changes do to the running host, each thing once.
func (r *Reconciler) disturbs(changes []state.Change) []string {
	var all []string
	for _, c := range changes {
		these := r.Kinds.For(c.Addr).Disturbs(c)
		if c.Trigger != "" {
			these = append(these, string(c.Trigger)+"s "+c.Addr.Key)
		}
		for _, d := range these {
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all
}
