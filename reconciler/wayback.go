package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
)

// A wayBack is one object's, from what it was left as to what it was at first.
type wayBack struct {
	addr      state.Addr // in the last of the steps that changed it, whose node takes it back
	now       state.Addr // in the ledger: another one when that step handed it over
	was       state.Addr // at first: another one when it has moved since
	kind      *state.Kind
	left      state.Object   // nil: absent
	before    state.Object   // what it goes back to; nil: it goes
	made      state.Object   // what the ledger has now
	ours      state.Object   // what opdbus made: that, or what it gave up, or left without coming to the ledger
	owned     bool           // what it goes back to is opdbus' own
	first     journal.Change // the first that touched it
	sensitive []string
}

// ways finds the objects that the steps changed, by the nodes where they are now. An object that moved has one way, which goes on
// where it came from; what stands under its address there after that is another.
func (b *back) ways() (map[state.NodeAddr][]*wayBack, error) {
	var all []*wayBack
	at := map[state.Addr]*wayBack{}
	for _, s := range b.steps {
		for _, jc := range slices.Backward(s.begun.Changes) {
			a, err := state.ParseLocal(s.begun.Node, jc.Object)
			if err != nil {
				return nil, err
			}
			before, after := a, a
			if jc.Origin != nil {
				before = jc.Origin.Addr
			}
			if jc.HandsTo != nil {
				after = *jc.HandsTo
			}
			w := at[after]
			if w == nil {
				if w, err = b.newWay(a, after, s, jc); err != nil {
					return nil, err
				}
				all = append(all, w)
			}
			w.sensitive = union(w.sensitive, jc.Sensitive)
			delete(at, after)
			at[before] = w
			w.first, w.was = jc, before
		}
	}
	ways := map[state.NodeAddr][]*wayBack{}
	for _, w := range all {
		var err error
		if w.before, err = w.kind.Decode(w.first.Before); err != nil {
			return nil, err
		}
		w.owned = b.after.Node(w.was.Node).Made(w.was.Local()) != nil
		// What came and went in between is nobody's by now.
		if w.left != nil || w.made != nil || w.before != nil {
			ways[w.addr.Node] = append(ways[w.addr.Node], w)
		}
	}
	return ways, nil
}

// newWay begins an object's way with the last change that touched it.
func (b *back) newWay(a, now state.Addr, s pastStep, last journal.Change) (w *wayBack, err error) {
	w = &wayBack{addr: a, now: now}
	if w.kind, err = b.kind(a); err != nil {
		return nil, err
	}
	if w.left, err = w.kind.Decode(last.After); err != nil {
		return nil, err
	}
	entry, _ := b.owned.Node(now.Node).Entry(now.Local())
	if w.made, err = w.kind.Decode(entry.Made); err != nil {
		return nil, err
	}
	w.sensitive = entry.Sensitive
	switch w.ours = w.made; {
	case w.ours != nil:
	case last.Forget && last.Made != nil:
		w.ours, err = w.kind.Decode(last.Made.Made)
	case !s.done():
		w.ours = w.left
	}
	return w, err
}

// changes are those of a node's objects, what was changed last first, and what is in the tree at the end.
func (b *back) changes(ctx context.Context, ways []*wayBack) ([]state.Change, []string, error) {
	addrs := make([]state.Addr, len(ways))
	wants := make([]state.Object, len(ways))
	for i, w := range ways {
		addrs[i] = w.addr
		for _, o := range []state.Object{w.left, w.made, w.before} {
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

// change is what takes the object back from what is live. What somebody else has put in its place since is not touched.
func (w *wayBack) change(live state.Object) (c state.Change, needed bool, conflict string) {
	c = state.Change{Addr: w.addr, Before: live, After: w.before, Made: w.made, Sensitive: w.sensitive}
	left := state.Same(live, w.left) // it is as it was left
	own := live != nil && w.ours != nil && w.kind.Owns(w.ours, live)
	if w.now != w.addr && w.made != nil {
		c.MadeAt = w.now
	}
	if w.owned && w.was != w.addr {
		c.HandsTo = w.was
	}
	stays := w.first.Forget || w.before == nil && !own // what is there, whatever that is
	switch {
	case stays || state.Same(live, w.before):
		return w.handOver(c, live)
	case live != nil && !left && !own:
		return c, false, fmt.Sprintf("%s: what is there is not what was left there, and not opdbus' own; move it away", w.addr)
	}
	if !w.owned && w.before != nil {
		c.Note = "as it was before opdbus came; no longer opdbus' own"
	}
	return c, true, ""
}

// handOver changes only who looks after an object, if that changes.
func (w *wayBack) handOver(c state.Change, live state.Object) (state.Change, bool, string) {
	if w.owned == (w.made != nil) && (!w.owned || w.was == w.now) {
		return c, false, ""
	}
	c.After = live
	switch c.Forget = !w.owned; {
	case w.owned:
	case live == nil:
		c.Note = "it is gone already"
	case !state.Same(live, w.before):
		c.Note = "it is no longer what opdbus made"
	}
	return c, true, ""
}
