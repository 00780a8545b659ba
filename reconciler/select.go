package reconciler

import (
	"fmt"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// A selection is what a plan looks at. The zero value is everything.
type selection struct {
	targeted bool
	whole    map[state.NodeAddr]bool // targeted with all their objects
	objects  map[state.Addr]bool
	out      map[state.NodeAddr]bool
	outside  map[state.Addr]bool
}

func (s *selection) has(a state.Addr) bool {
	if s.out[a.Node] || s.outside[a] {
		return false
	}
	return !s.targeted || s.whole[a.Node] || s.objects[a]
}

// choose works out what the options select, and reports the addresses that name nothing.
func choose(config *state.Config, owned *ledger.Ledger, o PlanOptions) (*selection, state.Diagnostics) {
	needs := edges(config, owned)
	s := &selection{targeted: len(o.Targets) > 0, whole: map[state.NodeAddr]bool{}, objects: map[state.Addr]bool{},
		out: map[state.NodeAddr]bool{}, outside: map[state.Addr]bool{}}
	var diags state.Diagnostics
	check := func(flag string, a state.Addr) bool {
		if !known(config, owned, a) {
			diags.Errorf(state.Range{}, fmt.Sprintf("Nothing is called %s", a), "--%s names neither something declared nor something owned; opdbus state list and opdbus graph show what there is.", flag)
			return false
		}
		return true
	}
	for _, a := range o.Targets {
		if !check("target", a) {
			continue
		}
		if a.IsNode() {
			s.whole[a.Node] = true
		} else {
			s.objects[a] = true
		}
		reach(a.Node, needs.Needs, s.whole)
	}
	for _, a := range o.Excludes {
		if !check("exclude", a) {
			continue
		}
		if !a.IsNode() {
			s.outside[a] = true
			continue
		}
		s.out[a.Node] = true
		reach(a.Node, needs.NeededBy, s.out)
	}
	for _, a := range o.Replaces {
		check("replace", a)
	}
	return s, diags
}

// edges is the graph of what is declared and, for what is owned only, of what was.
func edges(config *state.Config, owned *ledger.Ledger) *graph.Graph[state.NodeAddr] {
	g := graph.New(state.NodeAddr.Compare)
	for _, n := range config.Nodes {
		g.Add(n.Addr)
		for _, d := range n.DependsOn {
			g.Need(n.Addr, d.On)
		}
	}
	for _, a := range owned.Addrs() {
		if config.Node(a) != nil {
			continue
		}
		g.Add(a)
		for _, on := range owned.Node(a).DependsOn {
			g.Need(a, on)
		}
	}
	return g
}

// reach adds everything that next leads to from a.
func reach(a state.NodeAddr, next func(state.NodeAddr) []state.NodeAddr, into map[state.NodeAddr]bool) {
	for _, n := range next(a) {
		if !into[n] {
			into[n] = true
			reach(n, next, into)
		}
	}
}

func known(config *state.Config, owned *ledger.Ledger, a state.Addr) bool {
	n, o := config.Node(a.Node), owned.Node(a.Node)
	if a.IsNode() {
		return n != nil || o != nil
	}
	if n != nil {
		for _, d := range n.Objects {
			if d.Addr == a {
				return true
			}
		}
	}
	return o.Made(a.Local()) != nil
}
