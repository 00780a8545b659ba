package reconciler

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// keepUsed keeps directories that are no longer declared while something stands in them that is. They are handed to a node that puts
// something there, under an address that nothing that is declared can have, and go with the last of that. It returns what is left
// of the items.
func (r *Reconciler) keepUsed(config *state.Config, owned *ledger.Ledger, s *selection, o PlanOptions, orphans []*item) ([]*item, error) {
	if !slices.ContainsFunc(orphans, (*item).holds) {
		return orphans, nil
	}
	users, declared, err := r.users(config, owned, s, o)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(orphans, func(it *item) bool {
		if !it.holds() {
			return false
		}
		thing := it.made.(state.Thing).Thing()
		heirs := users[thing]
		if len(heirs) == 0 || declared[thing] { // one plan does not give it to another
			return false
		}
		if !slices.Contains(heirs, it.addr.Node) {
			heir := state.Addr{Node: slices.MinFunc(heirs, state.NodeAddr.Compare)}
			if config.Node(heir.Node) == nil || !s.has(heir) {
				return true // what is not in the plan cannot take it
			}
			it.madeAt, it.addr.Node = it.addr, heir.Node
		} else if config.Node(it.addr.Node) == nil {
			return true
		}
		kept := it.addr
		if _, kept.Key, _ = strings.Cut(thing, " "); kept != it.addr {
			if it.madeAt == (state.Addr{}) {
				it.madeAt = it.addr
			}
			it.addr = kept
		}
		it.want, it.kept, it.node = it.made, true, config.Node(it.addr.Node)
		return false
	}), nil
}

// holds says whether an owned object is one that others may stand in.
func (it *item) holds() bool {
	h, ok := it.made.(state.Holder)
	return ok && h.Holds() && !it.forget
}

// housing are the things on the host that were made for what is owned to stand in.
func (r *Reconciler) housing(owned *ledger.Ledger) func(thing string) bool {
	all := sync.OnceValue(func() map[string]bool {
		things := map[string]bool{}
		objects, _, _ := r.entries(owned, nil) // an entry that cannot be read stops whoever has to change it
		for _, o := range objects {
			if h, ok := o.Made.(state.Housed); ok {
				for _, thing := range h.Housing() {
					things[thing] = true
				}
			}
		}
		return things
	})
	return func(thing string) bool { return all()[thing] }
}

// becomesHolder says that what stands there was made for others to stand in, and is to be an object now.
func becomesHolder(live, want state.Object, housing func(thing string) bool) bool {
	l, ok := live.(state.Holder)
	if !ok || !l.Holds() {
		return false
	}
	w, ok := want.(state.Holder)
	return ok && w.Holds() && w.Thing() == l.Thing() && housing(l.Thing())
}

// holders are the things on the host that objects are which others may stand in: what the ledger has and what the plan makes, or
// what the ledger has afterwards where the plan goes back.
func (run *run) holders() map[string]bool {
	holders := map[string]bool{}
	add := func(o state.Object) {
		if h, ok := o.(state.Holder); ok && h.Holds() {
			holders[h.Thing()] = true
		}
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	owned := run.ledger
	if run.plan != nil {
		var back []state.Ownership
		for _, np := range run.plan.Nodes {
			if np.Back != nil {
				back = append(back, np.Back.Owned...)
			}
			for _, c := range np.Changes {
				switch {
				case c.Forget:
				case c.After == nil:
					add(c.Before) // which goes in its own step
				case np.Back == nil:
					add(c.After)
				}
			}
		}
		if len(back) > 0 {
			owned = ledger.New()
			for _, node := range run.ledger.Addrs() {
				owned.Set(node, run.ledger.Node(node))
			}
			if err := rewrite(owned, back); err != nil {
				owned = run.ledger // the step that is to write it says what is wrong
			}
		}
	}
	all, _, _ := run.entries(owned, nil) // an entry that cannot be read stops whoever has to change it
	for _, of := range all {
		add(of.Made)
	}
	return holders
}

// users are the nodes that have something in a thing on the host after a plan, by that thing; and the things that are declared.
func (r *Reconciler) users(config *state.Config, owned *ledger.Ledger, s *selection, o PlanOptions) (users map[string][]state.NodeAddr, declared map[string]bool, err error) {
	users, declared = map[string][]state.NodeAddr{}, map[string]bool{}
	use := func(node state.NodeAddr, object state.Object) {
		t, ok := object.(state.Thing)
		if !ok {
			return
		}
		declared[t.Thing()] = true
		for dir := range dirsOf(t.Thing()) {
			if of := users[dir]; !slices.Contains(of, node) {
				users[dir] = append(of, node)
			}
		}
	}
	if !o.Destroy {
		for _, n := range config.Nodes {
			for _, d := range n.Objects {
				use(n.Addr, d.Object)
			}
		}
		return users, declared, nil
	}
	all, _, err := r.entries(owned, nil)
	for _, of := range all {
		if !s.has(of.Addr) {
			use(of.Addr.Node, of.Made)
		}
	}
	return users, declared, err
}

// used says that an item gives up a directory for another one while something that is wanted stands in it; nil when it does not.
// One that is no longer declared at all is kept.
func (it *item) used(items []*item) error {
	if it.live == nil || it.want == nil || it.settled() || it.decode() != nil || !it.holds() || !it.moves() {
		return nil
	}
	dir := it.made.(state.Thing).Thing()
	for _, in := range items {
		if t, ok := in.want.(state.Thing); ok && strings.HasPrefix(t.Thing(), dir+"/") {
			return fmt.Errorf("the %s is given up for the %s in this plan, while %s is in it. Give %s a new name, so that both are there, or take away first what is in the old one", dir, it.want.(state.Thing).Thing(), in.addr, it.addr.Local())
		}
	}
	return nil
}
