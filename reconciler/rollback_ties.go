package reconciler

import (
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// node takes back what the last run did to a node, and with it what can only be taken back together.
func (b *back) node(o RollbackOptions) error {
	last, err := b.last(o.Node)
	if err != nil {
		return err
	}
	b.to = fmt.Sprintf("to before run %d", last.Run)
	since, err := b.stepsSince(last)
	if err != nil {
		return err
	}
	from := map[state.NodeAddr]state.Step{o.Node: last}
	reasons, err := b.together(from, since)
	if err != nil {
		return err
	}
	if len(reasons) > 0 && !o.Cascade {
		return &DependentsError{o.Node, reasons}
	}
	for _, s := range since {
		if at, in := from[s.begun.Node]; in && s.Compare(at) >= 0 {
			b.steps = append(b.steps, s)
		}
	}
	return nil
}

// together adds to the nodes that go back, each from a step on, those that can only go back with them, and tells why.
func (b *back) together(from map[state.NodeAddr]state.Step, since []pastStep) (reasons []string, err error) {
	nested, err := b.nested(since)
	if err != nil {
		return nil, err
	}
	for grown := true; grown; {
		grown = false
		for _, t := range slices.Concat(b.tied(from, since), nested.tied(from)) {
			if at, in := from[t.node]; in && at.Compare(t.from) <= 0 {
				continue
			}
			from[t.node], grown = t.from, true
			if why := t.node.String() + " " + t.why; !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
	}
	return reasons, nil
}

// A tie says that a node's steps from a point on have to be taken back with another's.
type tie struct {
	node state.NodeAddr
	from state.Step
	why  string
}

// tied finds what cannot stay when nodes go back: what depends on them, and what has taken things over from them, or handed
// them things.
func (b *back) tied(from map[state.NodeAddr]state.Step, since []pastStep) []tie {
	var ties []tie
	for _, a := range b.owned.Addrs() {
		for _, on := range b.owned.Node(a).DependsOn {
			if at, in := from[on]; in && on != a {
				ties = append(ties, tie{a, at, "depends on " + on.String()})
			}
		}
	}
	for _, s := range slices.Backward(since) {
		n := s.begun.Node
		at, in := from[n]
		for _, c := range s.begun.Changes {
			if o := c.Origin; o != nil && o.Addr.Node != n {
				if in && s.Compare(at) >= 0 && changedSince(since, o.Addr.Node, s.Step) {
					ties = append(ties, tie{o.Addr.Node, s.Step, fmt.Sprintf("was changed since it handed %s to %s", o.Addr.Local(), n)})
				}
				if gaveAt, in := from[o.Addr.Node]; in && s.Compare(gaveAt) >= 0 {
					ties = append(ties, tie{n, s.Step, fmt.Sprintf("took %s over from %s", c.Object, o.Addr.Node)})
				}
			}
			if to := c.HandsTo; to != nil && to.Node != n {
				if in && s.Compare(at) >= 0 && changedSince(since, to.Node, s.Step) {
					ties = append(ties, tie{to.Node, s.Step, fmt.Sprintf("was changed since it got %s back from %s", to.Local(), n)})
				}
				if gotAt, in := from[to.Node]; in && s.Compare(gotAt) >= 0 {
					ties = append(ties, tie{n, s.Step, fmt.Sprintf("gave %s back to %s", c.Object, to.Node)})
				}
			}
		}
	}
	return ties
}

func changedSince(since []pastStep, node state.NodeAddr, from state.Step) bool {
	return slices.ContainsFunc(since, func(s pastStep) bool { return s.begun.Node == node && s.Compare(from) >= 0 })
}
