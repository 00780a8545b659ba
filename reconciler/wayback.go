package reconciler

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A wayBack is one object's, from what it was left as to what it was at first.
type wayBack struct {
	addr      state.Addr // in the last of the steps that changed it, whose node takes it back
	now       state.Addr // in the ledger: another one when that step handed it over
	was       state.Addr // at first: another one when it has moved since
	kind      *state.Kind
	left      state.Object   // nil: absent
	stayed    state.Object   // a directory that was to go and could not, as something of somebody's was in it
	before    state.Object   // what it goes back to; nil: it goes
	returned  bool           // what it had kept aside went back to its place as it went
	made      state.Object   // what the ledger has now
	ours      []state.Object // what opdbus made: that, or what it gave up, or left without coming to the ledger
	owned     bool           // what it goes back to is opdbus' own
	first     journal.Change // the first that touched it
	lost      journal.Change // the first that made it something else: what it was is in the tree of then
	alone     bool           // it is the only one
	sensitive []string
}

// ways finds the objects that the steps changed, by the nodes where they are now. An object that moved has one way, which goes on
// where it came from; what stands under its address there after that is another. So has what was made where another was deleted
// before: it goes back to that one, and neither is in the other's way.
func (b *back) ways() (map[state.NodeAddr][]*wayBack, error) {
	heirs, err := b.heirs()
	if err != nil {
		return nil, err
	}
	var all []*wayBack
	at := map[state.Addr]*wayBack{}
	now := map[state.Addr]bool{}       // the addresses whose objects of now have a way
	waiting := map[changeID]*wayBack{} // those that go back to what was deleted, by the change that did
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
			id := changeID{s.Step, jc.Object}
			w := waiting[id]
			if w == nil {
				w = at[after]
			}
			if w == nil {
				if w, err = b.newWay(a, after, s, jc, now[after]); err != nil {
					return nil, err
				}
				all, now[after] = append(all, w), true
			}
			w.alone = w.first.Object == ""
			w.sensitive = union(w.sensitive, jc.Sensitive)
			delete(at, after)
			at[before] = w
			w.first, w.was = jc, before
			if !bytes.Equal(jc.Before, jc.After) {
				w.lost = jc
			}
			if deleted, is := heirs[id]; is {
				waiting[deleted] = w
				delete(at, before)
			}
		}
	}
	ways := map[state.NodeAddr][]*wayBack{}
	housed, housedThen := b.housing(b.owned), b.housing(b.after)
	for _, w := range all {
		var err error
		if w.before, err = w.kind.Decode(w.first.Before); err != nil {
			return nil, err
		}
		if h, ok := w.before.(state.Heir); ok {
			content := w.lost.Before
			if w.lost.Made != nil {
				content = w.lost.Made.Made
			}
			made, err := w.kind.Decode(content)
			if err != nil {
				return nil, err
			}
			w.before = h.From(made)
		}
		w.owned = b.after.Node(w.was.Node).Made(w.was.Local()) != nil
		if h, ok := w.before.(state.Holder); ok && h.Holds() && !w.owned && housed(h.Thing()) && !housedThen(h.Thing()) {
			w.before = nil // it was made for what goes as well
		}
		// What came and went in between is nobody's by now.
		if w.left != nil || w.made != nil || w.before != nil {
			ways[w.addr.Node] = append(ways[w.addr.Node], w)
		}
	}
	return ways, nil
}

// A changeID names a change of a former run.
type changeID struct {
	state.Step
	object string
}

// heirs are the changes by which an object came to a thing that another object had been before, which was deleted or given up, each with
// the change that did.
func (b *back) heirs() (map[changeID]changeID, error) {
	type lost struct {
		addr state.Addr
		kind *state.Kind
		by   changeID
	}
	heirs := map[changeID]changeID{}
	left := map[string]lost{} // by the thing on the host
	for _, s := range slices.Backward(b.steps) {
		keeps, err := s.keeps()
		if err != nil {
			return nil, err
		}
		for _, jc := range s.begun.Changes {
			leaves := jc.After == nil || jc.Forget || !keeps(jc.Object)
			comes := jc.After != nil && (jc.Before == nil || jc.Made == nil) && len(left) > 0
			if jc.Origin != nil || jc.HandsTo != nil || !leaves && !comes {
				continue
			}
			a, err := state.ParseLocal(s.begun.Node, jc.Object)
			if err != nil {
				return nil, err
			}
			kind, err := b.kind(a)
			if err != nil {
				return nil, err
			}
			id := changeID{s.Step, jc.Object}
			if comes && !jc.Forget {
				thing, err := thingIn(kind, jc.After)
				if err != nil {
					return nil, err
				}
				if of, was := left[thing]; was && of.kind == kind && of.addr != a {
					heirs[id] = of.by
				}
				delete(left, thing)
			}
			if leaves {
				of := jc.Before
				if of == nil {
					of = jc.After
				}
				thing, err := thingIn(kind, of)
				if err != nil {
					return nil, err
				}
				if thing != "" {
					left[thing] = lost{a, kind, id}
				}
			}
		}
	}
	return heirs, nil
}

// keeps says of which of its node's objects a step leaves the ledger an entry.
func (s pastStep) keeps() (func(object string) bool, error) {
	if s.begun.Back == nil {
		return func(string) bool { return true }, nil
	}
	after := ledger.New()
	if err := rewrite(after, s.begun.Back.Owned); err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	if node := after.Node(s.begun.Node); node != nil {
		for _, e := range node.Objects {
			kept[e.Object] = true
		}
	}
	return func(object string) bool { return kept[object] }, nil
}

// newWay begins an object's way with the last change that touched it. What is under its address now is another one when that came
// to it later.
func (b *back) newWay(a, now state.Addr, s pastStep, last journal.Change, another bool) (w *wayBack, err error) {
	w = &wayBack{addr: a, now: now}
	if w.kind, err = b.kind(a); err != nil {
		return nil, err
	}
	if w.left, err = w.kind.Decode(last.After); err != nil {
		return nil, err
	}
	if w.left == nil {
		before, err := w.kind.Decode(last.Before)
		if err != nil {
			return nil, err
		}
		if h, ok := before.(state.Holder); ok && h.Holds() {
			w.stayed = before
		}
		w.returned = keptAside(before) != ""
	}
	var entry ledger.Entry
	if !another {
		entry, _ = b.owned.Node(now.Node).Entry(now.Local())
	}
	if w.made, err = w.kind.Decode(entry.Made); err != nil {
		return nil, err
	}
	w.sensitive = entry.Sensitive
	switch {
	case w.made != nil:
		w.ours = append(w.ours, w.made)
	case last.Forget && last.Made != nil:
		gaveUp, err := w.kind.Decode(last.Made.Made)
		if err != nil {
			return nil, err
		}
		w.ours = append(w.ours, gaveUp)
	}
	if !s.done() && w.left != nil {
		w.ours = append(w.ours, w.left)
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
	if err := b.readAgain(ctx, ways, addrs, lives); err != nil {
		return nil, nil, err
	}
	housing := b.housing(b.owned)
	var outside, inside []state.Change
	var conflicts []string
	for i, w := range ways {
		c, needed, conflict := w.change(lives[i], housing)
		switch {
		case conflict != "":
			conflicts = append(conflicts, conflict)
		case needed && w.kind.InTree:
			inside = append(inside, c)
		case needed:
			outside = append(outside, c)
		}
	}
	together(outside)
	slices.SortStableFunc(inside, func(x, y state.Change) int { return cmp.Compare(x.Addr.Kind, y.Addr.Kind) })
	return append(outside, inside...), conflicts, nil
}

// readAgain looks at where an object goes back to, where what the ledger has is another thing on the host that is not opdbus' own any
// more: as one had it that had been moved by a plan because somebody had taken its former place.
func (b *back) readAgain(ctx context.Context, ways []*wayBack, addrs []state.Addr, lives []state.Object) error {
	var at []int
	var of []state.Addr
	var wants []state.Object
	for i, w := range ways {
		thing, ok := w.before.(state.Thing)
		if !ok || w.left != nil || w.made == nil || w.owns(lives[i]) {
			continue
		}
		if made, ok := w.made.(state.Thing); ok && made.Thing() != thing.Thing() {
			at, of, wants = append(at, i), append(of, addrs[i]), append(wants, w.before)
		}
	}
	if len(at) == 0 {
		return nil
	}
	again, err := b.read(ctx, of, wants)
	for i, live := range again {
		lives[at[i]] = live
	}
	return err
}

// owns says whether what is live is what opdbus made.
func (w *wayBack) owns(live state.Object) bool {
	return live != nil && slices.ContainsFunc(w.ours, func(o state.Object) bool { return w.kind.Owns(o, live) })
}

// change is what takes the object back from what is live. What somebody else has put in its place since is not touched.
func (w *wayBack) change(live state.Object, housing func(thing string) bool) (c state.Change, needed bool, conflict string) {
	c = state.Change{Addr: w.addr, Before: live, After: w.before, Made: w.made, Sensitive: w.sensitive}
	left := state.Same(live, w.left) || w.stayed != nil && state.Same(live, w.stayed) || // it is as it was left
		w.returned && keptAside(w.before) != "" // or will be kept aside again
	own := w.owns(live)
	if w.now != w.addr && w.made != nil {
		c.MadeAt = w.now
	}
	if w.owned && w.was != w.addr {
		c.HandsTo = w.was
	}
	// What is there stays, whatever that is; and what was somebody else's and went without opdbus is not made again.
	stays := w.first.Forget && w.alone || w.before == nil && !own || !w.owned && live == nil && w.left != nil
	switch {
	case stays || state.Exactly(live, w.before):
		return w.handOver(c, live)
	case state.Same(live, w.before) && !own: // somebody has changed what is theirs to change
		return w.handOver(c, live)
	case live != nil && !left && !own && !becomesHolder(live, w.before, housing):
		return c, false, fmt.Sprintf("%s: what is there is not what was left there, and not opdbus' own; move it away", w.addr)
	}
	if !w.owned && w.before != nil {
		c.Note = "as it was before opdbus came; no longer opdbus' own"
	}
	c.Replace = state.Same(live, w.before) // in what only a rollback minds
	return c, true, ""
}

// keptAside is where an object keeps what stood in its place.
func keptAside(o state.Object) string {
	if k, ok := o.(state.Keeper); ok {
		return k.Aside()
	}
	return ""
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
