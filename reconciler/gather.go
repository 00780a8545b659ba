package reconciler

import (
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// gather lists what is declared and what is owned without being declared, and finds what has only moved from one address
// to another. Owned objects come in reverse of the order in which they were made, as they are deleted.
func (r *Reconciler) gather(config *state.Config, owned *ledger.Ledger, s *selection, o PlanOptions) ([]*item, error) {
	nodes := config.Nodes
	if o.Destroy {
		nodes = nil
	}
	var items, homeless []*item
	found := map[state.NodeAddr][]bool{} // which of the ledger's entries are declared
	for _, n := range nodes {
		entries := owned.Node(n.Addr)
		var declared []bool
		if entries != nil {
			declared = make([]bool, len(entries.Objects))
			found[n.Addr] = declared
		}
		made := make([]item, len(n.Objects))
		items = slices.Grow(items, len(made))
		for i := range n.Objects {
			d, it := &n.Objects[i], &made[i]
			entry, at := entries.Entry(d.Addr.Local())
			if entry.Made != nil {
				declared[at] = true
			}
			if !s.has(d.Addr) {
				continue
			}
			kind, err := r.kind(d.Addr)
			if err != nil {
				return nil, err
			}
			*it = item{addr: d.Addr, kind: kind, node: n, declared: d, raw: entry.Made, secret: union(d.Sensitive, entry.Sensitive), want: d.Object}
			items = append(items, it)
			if it.raw == nil {
				homeless = append(homeless, it)
			}
		}
	}
	orphans, err := r.orphans(owned, found, s)
	if err != nil {
		return nil, err
	}
	moved := rehouse(config, homeless, orphans)
	var left []*item
	for _, it := range orphans {
		if !moved[it.addr] {
			it.forget = forgotten(config, it.addr)
			left = append(left, it)
		}
	}
	left, err = r.keepUsed(config, owned, s, o, left)
	return append(items, left...), err
}

// orphans lists what is owned and not declared.
func (r *Reconciler) orphans(owned *ledger.Ledger, declared map[state.NodeAddr][]bool, s *selection) ([]*item, error) {
	var orphans []*item
	for _, addr := range owned.Addrs() {
		entries := owned.Node(addr).Objects
		for i := len(entries) - 1; i >= 0; i-- {
			if declared[addr] != nil && declared[addr][i] {
				continue
			}
			a, err := state.ParseLocal(addr, entries[i].Object)
			if err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
			if !s.has(a) {
				continue
			}
			it := &item{addr: a, raw: entries[i].Made, secret: entries[i].Sensitive}
			if it.kind, err = r.kind(a); err != nil {
				return nil, err
			}
			if r.leftOut(it.kind) {
				continue
			}
			if err := it.decode(); err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %s: %w", a, err)
			}
			orphans = append(orphans, it)
		}
	}
	return orphans, nil
}

// rehouse gives what is newly declared the ledger's entry of the owned object that it was before: the one that a moved
// block names, or the one that is the same thing on the host. Nothing on the host has to go for that. What lives in a
// node's tree does not move: the trees are different.
func rehouse(config *state.Config, homeless, orphans []*item) map[state.Addr]bool {
	byAddr := make(map[state.Addr]*item, len(orphans))
	byThing := map[string]*item{}
	for _, it := range orphans {
		if it.kind.InTree {
			continue
		}
		byAddr[it.addr] = it
		if t, ok := it.made.(state.Thing); ok {
			byThing[t.Thing()] = it
		}
	}
	moved := map[state.Addr]bool{}
	for _, it := range homeless {
		var from *item
		for _, m := range config.Moved {
			if m.To.Contains(it.addr) {
				was := m.From
				if was.IsNode() {
					was = state.Addr{Node: m.From.Node, Kind: it.addr.Kind, Key: it.addr.Key}
				}
				from = byAddr[was]
			}
		}
		if t, ok := it.want.(state.Thing); ok && from == nil {
			from = byThing[t.Thing()]
		}
		if from != nil && from.kind == it.kind && !moved[from.addr] {
			moved[from.addr] = true
			it.raw, it.made, it.madeAt = from.raw, from.made, from.addr
			it.secret = union(it.secret, from.secret)
		}
	}
	return moved
}

// forgotten says whether a removed block gives an object up without deleting it.
func forgotten(config *state.Config, a state.Addr) bool {
	for _, r := range config.Removed {
		if r.From.Contains(a) {
			return !r.Destroy
		}
	}
	return false
}

// union is a and what b has besides; what was secret stays so while the change that makes it public is shown.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}
