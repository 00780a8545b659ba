package reconciler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/graph"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// plan makes the plan: each node goes straight to what it was before the first of its steps that are taken back, in the reverse
// of the order in which those were made.
func (b *back) plan(ctx context.Context) (*state.Plan, error) {
	if err := b.rewind(); err != nil {
		return nil, err
	}
	p := &state.Plan{
		Host: b.MachineID, Hostname: b.Hostname, OnFailure: OnFailureRollback, Run: b.owned.Run, Rollback: b.to,
	}
	var err error
	if p.Retention.Subvolumes, err = b.lastSubvolumes(); err != nil {
		return nil, err
	}
	if b.whole && len(b.steps) > 0 {
		p.Config = b.steps[len(b.steps)-1].run.Run.Before.Config
	}
	byNode := map[state.NodeAddr][]pastStep{}
	for _, s := range b.steps {
		byNode[s.begun.Node] = append(byNode[s.begun.Node], s)
	}
	nodes := slices.SortedFunc(maps.Keys(byNode), func(x, y state.NodeAddr) int {
		first := func(a state.NodeAddr) state.Step { return byNode[a][len(byNode[a])-1].Step }
		return first(y).Compare(first(x))
	})
	if !b.whole { // as a whole it has been like that before
		if err := errors.Join(b.doubles(), b.dangling(nodes)); err != nil {
			return nil, err
		}
	}
	ways, err := b.ways()
	if err != nil {
		return nil, err
	}
	var conflicts []string
	for _, a := range nodes {
		np, refused, err := b.nodePlan(ctx, byNode[a], ways[a])
		if err != nil {
			return nil, err
		}
		conflicts = append(conflicts, refused...)
		if np != nil {
			p.Nodes = append(p.Nodes, np)
		}
	}
	if len(conflicts) > 0 {
		return nil, &ConflictsError{conflicts}
	}
	if p.Triggers, err = b.triggers(p.Nodes); err != nil {
		return nil, err
	}
	p.Nodes = b.insideOut(p.Nodes)
	for i, np := range p.Nodes[min(1, len(p.Nodes)):] {
		np.After = []state.NodeAddr{p.Nodes[i].Addr}
	}
	for _, a := range b.owned.Addrs() {
		if byNode[a] == nil {
			p.Unchanged++
		}
	}
	return p, nil
}

// insideOut keeps the order of the nodes but for those that remove directories, which come after what is taken out of these, and
// those that make some, which come before what is put into these.
func (b *back) insideOut(plans []*state.NodePlan) []*state.NodePlan {
	g := graph.New(state.NodeAddr.Compare)
	changes := map[state.NodeAddr][]state.Change{}
	for i, np := range plans {
		changes[np.Addr] = np.Changes
		g.Add(np.Addr)
		for _, before := range plans[:i] { // what depends on another goes back before it
			if n := b.owned.Node(before.Addr); n != nil && slices.Contains(n.DependsOn, np.Addr) {
				g.Need(np.Addr, before.Addr)
			}
		}
	}
	within(g, changes)
	sorted := make([]*state.NodePlan, 0, len(plans))
	for rest := slices.Clone(plans); len(rest) > 0; {
		next := slices.IndexFunc(rest, func(np *state.NodePlan) bool {
			return !slices.ContainsFunc(rest, func(other *state.NodePlan) bool { return slices.Contains(g.Needs(np.Addr), other.Addr) })
		})
		sorted, rest = append(sorted, rest[next]), slices.Delete(rest, next, next+1)
	}
	return sorted
}

// dangling refuses to bring back a node without what it depends on.
func (b *back) dangling(nodes []state.NodeAddr) error {
	var errs []error
	for _, a := range nodes {
		n := b.after.Node(a)
		if n == nil {
			continue
		}
		for _, on := range n.DependsOn {
			if b.after.Node(on) == nil {
				errs = append(errs, fmt.Errorf("%s would be back without %s, which it depends on; take back what removed that first", a, on))
			}
		}
	}
	return errors.Join(errs...)
}

// rewind is the ledger as it was before the steps.
func (b *back) rewind() error {
	data, err := b.owned.Encode()
	if err != nil {
		return err
	}
	if b.after, err = ledger.Decode(data); err != nil {
		return err
	}
	for _, s := range b.steps {
		if err := disown(b.after, s.begun); err != nil {
			return err
		}
	}
	return nil
}

// doubles refuses what would give one thing on the host two owners: the other has come to it since.
func (b *back) doubles() error {
	owners := map[string]state.Addr{}
	var errs []error
	for _, node := range b.after.Addrs() {
		for _, e := range b.after.Node(node).Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return err
			}
			k, err := b.kind(a)
			if err != nil {
				return err
			}
			if k.InTree {
				continue
			}
			o, err := k.Decode(e.Made)
			if err != nil {
				return err
			}
			t, ok := o.(state.Thing)
			if !ok {
				continue
			}
			if other, taken := owners[t.Thing()]; taken {
				errs = append(errs, fmt.Errorf("%s and %s would both own the %s; take back the one that came to it later too", other, a, t.Thing()))
			}
			owners[t.Thing()] = a
		}
	}
	return errors.Join(errs...)
}

// A ConflictsError says what stands in the way of going back.
type ConflictsError struct{ Conflicts []string }

func (e *ConflictsError) Error() string {
	return "something that opdbus did not make is in the way of going back, and is left alone:\n  " + strings.Join(e.Conflicts, "\n  ")
}

// nodePlan plans one node's way back over its steps, last first; nil when there is nothing to do.
func (b *back) nodePlan(ctx context.Context, steps []pastStep, ways []*wayBack) (np *state.NodePlan, conflicts []string, err error) {
	first := steps[len(steps)-1]
	np = &state.NodePlan{Addr: first.begun.Node, Back: &state.Back{}}
	for _, s := range steps {
		np.Back.Steps = append(np.Back.Steps, s.Step)
	}
	if first.begun.Existed {
		np.Back.Snapshot = first.begun.Pre
	}
	if n := b.after.Node(np.Addr); n != nil {
		np.DependsOn = n.DependsOn
	}
	if np.Back.Owned, err = b.ownership(steps); err != nil {
		return nil, nil, err
	}
	if np.Changes, conflicts, err = b.changes(ctx, ways); err != nil {
		return nil, nil, err
	}
	there, err := exists(b.Store.NodeDir(np.Addr))
	if err != nil {
		return nil, nil, err
	}
	if same, err := b.unchangedOwnership(np.Back.Owned); err != nil {
		return nil, nil, err
	} else if same && there == first.begun.Existed && len(np.Changes) == 0 {
		return nil, conflicts, nil // it came and went, or went and came back
	}
	np.Delete = !first.begun.Existed
	if err := b.reachable(np); err != nil {
		return nil, nil, fmt.Errorf("cannot take back run %d: %w", first.Run, err)
	}
	np.TakesBack = "snapshot"
	if slices.ContainsFunc(np.Changes, func(c state.Change) bool { return !b.Kinds.For(c.Addr).InTree }) {
		np.TakesBack = b.takesBack(np.Changes)
		if np.TakesBack == "inverse" {
			np.TakesBack = "snapshot and inverse"
		}
	}
	np.Disturbs = b.disturbs(np.Changes)
	return np, conflicts, nil
}

// ownership is what the ledger has afterwards of the node, and of the others that had handed it something.
func (b *back) ownership(steps []pastStep) ([]state.Ownership, error) {
	nodes := map[state.NodeAddr]bool{steps[0].begun.Node: true}
	for _, s := range steps {
		for _, c := range s.begun.Changes {
			if c.Origin != nil {
				nodes[c.Origin.Addr.Node] = true
			}
			if c.HandsTo != nil {
				nodes[c.HandsTo.Node] = true
			}
		}
		for _, o := range s.begun.Was {
			nodes[o.Node] = true
		}
	}
	var owned []state.Ownership
	for _, a := range slices.SortedFunc(maps.Keys(nodes), state.NodeAddr.Compare) {
		raw, err := b.after.Written(a)
		if err != nil {
			return nil, err
		}
		owned = append(owned, state.Ownership{Node: a, Owned: raw})
	}
	return owned, nil
}

// unchangedOwnership says whether the ledger has the same of the nodes already.
func (b *back) unchangedOwnership(after []state.Ownership) (bool, error) {
	for _, o := range after {
		now, err := b.owned.Written(o.Node)
		if err != nil || !bytes.Equal(now, o.Owned) {
			return false, err
		}
	}
	return true, nil
}
