package reconciler

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// RollbackOptions say what is taken back. One of them is set.
type RollbackOptions struct {
	// Node goes back by the last run that changed it. Cascade takes back with it what depends on it.
	Node    state.NodeAddr
	Cascade bool
	// Snapshot names the one to which everything goes back.
	Snapshot string
	// Run is taken back with all that came after it; 0 with All: the first.
	Run int
	All bool
	// Last takes back the last run that has an effect.
	Last bool
}

// A DependentsError says that nodes are in the way of taking back others.
type DependentsError struct {
	Node    state.NodeAddr
	Reasons []string // such as "stage.b depends on it"
}

func (e *DependentsError) Error() string {
	return fmt.Sprintf("%s cannot be taken back alone: %s; take that back first, or give --cascade to take both back", e.Node, strings.Join(e.Reasons, ", "))
}

// Rollback plans taking back former runs. It needs no configuration and changes nothing.
func (r *Reconciler) Rollback(ctx context.Context, owned *ledger.Ledger, o RollbackOptions) (*state.Plan, error) {
	b := &back{Reconciler: r, owned: owned}
	var err error
	if o.Node != (state.NodeAddr{}) {
		err = b.node(o)
	} else {
		err = b.everything(o)
	}
	if err != nil {
		return nil, err
	}
	return b.plan(ctx)
}

// A back is a rollback that is being planned.
type back struct {
	*Reconciler
	owned *ledger.Ledger
	to    string     // what it goes back to
	steps []pastStep // that are taken back, last first
	whole bool       // that is everything since a point
	after *ledger.Ledger
}

// everything takes back all that happened since a point.
func (b *back) everything(o RollbackOptions) (err error) {
	var from state.Step
	switch {
	case o.Snapshot != "":
		if from, err = b.sinceSnapshot(o.Snapshot); err != nil {
			return err
		}
		b.to = "to snapshot " + o.Snapshot
	case o.All:
		b.to = "to before the first run"
	default:
		if from.Run = o.Run; o.Last {
			if from.Run, err = b.lastRun(); err != nil {
				return err
			}
		} else if _, err := b.stepsOf(o.Run); err != nil {
			return err
		}
		b.to = fmt.Sprintf("to before run %d", from.Run)
	}
	b.whole = true
	b.steps, err = b.stepsSince(from)
	return err
}

// sinceSnapshot is the first step that came after a snapshot. One that a step began with has that step after it.
func (b *back) sinceSnapshot(name string) (from state.Step, err error) {
	infos, err := snapshot.List(b.Store.Snapshots())
	if err != nil {
		return from, err
	}
	i := slices.IndexFunc(infos, func(i snapshot.Info) bool { return i.Name == name })
	switch {
	case i < 0:
		return from, fmt.Errorf("there is no snapshot %s; opdbus snapshots lists those that there are", name)
	case infos[i].Problem != "":
		return from, fmt.Errorf("cannot go back to snapshot %s: %s", name, infos[i].Problem)
	}
	from = state.Step{Run: infos[i].Run, Step: infos[i].Step}
	if infos[i].Phase == snapshot.Post {
		from.Step++
	}
	return from, nil
}

// node takes back what the last run did to a node, and with it what can only be taken back together.
func (b *back) node(o RollbackOptions) error {
	last, err := b.last(o.Node)
	if err != nil {
		return err
	}
	b.to = fmt.Sprintf("to before run %d", last.Run)
	since, err := b.stepsSince(last.Step)
	if err != nil {
		return err
	}
	from := map[state.NodeAddr]state.Step{o.Node: last.Step}
	var reasons []string
	for grown := true; grown; {
		grown = false
		for _, t := range b.tied(from, since) {
			if at, in := from[t.node]; in && at.Compare(t.from) <= 0 {
				continue
			}
			from[t.node], grown = t.from, true
			if why := t.node.String() + " " + t.why; !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
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
			if c.Origin == nil || c.Origin.Addr.Node == n {
				continue
			}
			giver := c.Origin.Addr.Node
			if in && s.Compare(at) >= 0 && changedSince(since, giver, s.Step) {
				ties = append(ties, tie{giver, s.Step, fmt.Sprintf("was changed since it handed %s to %s", c.Origin.Addr.Local(), n)})
			}
			if gaveAt, in := from[giver]; in && s.Compare(gaveAt) >= 0 {
				ties = append(ties, tie{n, s.Step, fmt.Sprintf("took %s over from %s", c.Object, giver)})
			}
		}
	}
	return ties
}

func changedSince(since []pastStep, node state.NodeAddr, from state.Step) bool {
	return slices.ContainsFunc(since, func(s pastStep) bool { return s.begun.Node == node && s.Compare(from) >= 0 })
}

// plan makes the plan: each node goes straight to what it was before the first of its steps that are taken back, in the reverse
// of the order in which those were made.
func (b *back) plan(ctx context.Context) (*state.Plan, error) {
	if err := b.rewind(); err != nil {
		return nil, err
	}
	p := &state.Plan{
		Host: b.MachineID, Hostname: b.Hostname, OnFailure: OnFailureRollback, Run: b.owned.Run, Rollback: b.to,
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
	var conflicts []string
	for _, a := range nodes {
		np, refused, err := b.nodePlan(ctx, byNode[a])
		if err != nil {
			return nil, err
		}
		conflicts = append(conflicts, refused...)
		if np == nil {
			continue
		}
		if n := len(p.Nodes); n > 0 {
			np.After = []state.NodeAddr{p.Nodes[n-1].Addr}
		}
		p.Nodes = append(p.Nodes, np)
	}
	if len(conflicts) > 0 {
		return nil, &ConflictsError{conflicts}
	}
	for _, a := range b.owned.Addrs() {
		if byNode[a] == nil {
			p.Unchanged++
		}
	}
	return p, errors.Join(b.doubles(), b.dangling(nodes))
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
func (b *back) nodePlan(ctx context.Context, steps []pastStep) (np *state.NodePlan, conflicts []string, err error) {
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
	if np.Changes, conflicts, err = b.changes(ctx, steps); err != nil {
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

// A wayBack is one object's, from what it was left as to what it was at first.
type wayBack struct {
	addr      state.Addr
	kind      *state.Kind
	left, was state.Object // nil: absent
	made      state.Object // what the ledger has now
	owned     bool         // what it goes back to is opdbus' own
	given     bool         // the first of the steps only gave it up
	secret    []string
	cause     journal.Change
}

// changes are those of the node's objects, what was changed last first, and what is in the tree at the end.
func (b *back) changes(ctx context.Context, steps []pastStep) ([]state.Change, []string, error) {
	ways, err := b.ways(steps)
	if err != nil {
		return nil, nil, err
	}
	addrs := make([]state.Addr, len(ways))
	wants := make([]state.Object, len(ways))
	for i, w := range ways {
		addrs[i] = w.addr
		for _, o := range []state.Object{w.left, w.made, w.was} {
			if wants[i] == nil {
				wants[i] = o
			}
		}
	}
	lives, err := b.read(ctx, addrs, wants)
	if err != nil {
		return nil, nil, err
	}
	var outside, inside []state.Change
	var conflicts []string
	for i, w := range ways {
		c, needed, conflict := w.change(lives[i])
		switch {
		case conflict != "":
			conflicts = append(conflicts, conflict)
		case needed && w.kind.InTree:
			inside = append(inside, c)
		case needed:
			outside = append(outside, c)
		}
	}
	slices.SortStableFunc(inside, func(x, y state.Change) int { return cmp.Compare(x.Addr.Kind, y.Addr.Kind) })
	return append(outside, inside...), conflicts, nil
}

// ways finds the objects that the steps changed.
func (b *back) ways(steps []pastStep) ([]*wayBack, error) {
	var ways []*wayBack
	byObject := map[string]*wayBack{}
	for _, s := range steps {
		for _, jc := range slices.Backward(s.begun.Changes) {
			w := byObject[jc.Object]
			if w == nil {
				a, err := state.ParseLocal(s.begun.Node, jc.Object)
				if err != nil {
					return nil, err
				}
				w = &wayBack{addr: a}
				if w.kind, err = b.kind(a); err != nil {
					return nil, err
				}
				if w.left, err = w.kind.Decode(jc.After); err != nil {
					return nil, err
				}
				entry, _ := b.owned.Node(a.Node).Entry(jc.Object)
				if w.made, err = w.kind.Decode(entry.Made); err != nil {
					return nil, err
				}
				w.secret = entry.Sensitive
				byObject[jc.Object] = w
				ways = append(ways, w)
			}
			w.secret = union(w.secret, jc.Sensitive)
			w.cause = jc
		}
	}
	for _, w := range ways { // the change that each was left with is the first of the steps'
		var err error
		if w.was, err = w.kind.Decode(w.cause.Before); err != nil {
			return nil, err
		}
		w.given = w.cause.Forget
		w.owned = b.after.Node(w.addr.Node).Made(w.addr.Local()) != nil
	}
	// What came and went in between is nobody's by now.
	return slices.DeleteFunc(ways, func(w *wayBack) bool { return w.left == nil && w.made == nil && w.was == nil }), nil
}

// change is what takes the object back from what is live. What somebody else has put in its place since is not touched.
func (w *wayBack) change(live state.Object) (c state.Change, needed bool, conflict string) {
	c = state.Change{Addr: w.addr, Before: live, After: w.was, Made: w.made, Sensitive: w.secret}
	as := state.Same(live, w.left) // it is as it was left
	ours := as || live != nil && w.made != nil && w.kind.Owns(w.made, live)
	switch {
	case w.given, w.was == nil && live == nil, w.was == nil && !(w.made != nil && live != nil && w.kind.Owns(w.made, live)):
		// Whatever is there stays; only who looks after it changes.
		c.After = live
		if w.owned == (w.made != nil) {
			return c, false, ""
		}
		if c.Forget = !w.owned; !c.Forget {
			c.Made = nil
		} else if live == nil {
			c.Note = "it is gone already"
		} else {
			c.Note = "it is no longer what opdbus made"
		}
		return c, true, ""
	case state.Same(live, w.was):
		if w.owned == (w.made != nil) {
			return c, false, ""
		}
		if c.Forget = !w.owned; c.Forget {
			c.After = live
		} else {
			c.Made = nil
		}
		return c, true, ""
	case live != nil && !ours:
		return c, false, fmt.Sprintf("%s: what is there is not what was left there, and not opdbus' own; move it away", w.addr)
	}
	if !w.owned && w.was != nil {
		c.Note = "as it was before opdbus came; no longer opdbus' own"
	}
	return c, true, ""
}
