package reconciler

import "github.com/opdbus/opdbus/state"

// A batch is changes of one kind that are made in one go.
type batch struct {
	kind    *state.Kind
	changes []state.Change
}

// batches groups neighbours of one kind; what only changes hands is in none. A replacement becomes a deletion and a creation,
// in batches of their own.
func (r *Reconciler) batches(changes []state.Change) []batch {
	var bs []batch
	for from := 0; from < len(changes); {
		kind, to := r.Kinds.For(changes[from].Addr), from+1
		for to < len(changes) && r.Kinds.For(changes[to].Addr) == kind {
			to++
		}
		bs = append(bs, split(kind, changes[from:to])...)
		from = to
	}
	return bs
}

// split makes batches of the changes of one kind. Mostly that is one, which is the changes as they are.
func split(kind *state.Kind, changes []state.Change) []batch {
	plain := true
	for i := range changes {
		switch changes[i].Action() {
		case state.None, state.Adopt, state.Forget, state.Replace:
			plain = false
		}
	}
	if plain {
		return []batch{{kind, changes}}
	}
	var acting, gone, again []state.Change
	for _, c := range changes {
		switch c.Action() {
		case state.None, state.Adopt, state.Forget:
		case state.Replace:
			d := c
			d.After, d.Replace = nil, false
			c.Before, c.Replace = nil, false
			gone, again = append(gone, d), append(again, c)
		default:
			acting = append(acting, c)
		}
	}
	var bs []batch
	for _, part := range [][]state.Change{acting, gone, again} {
		if len(part) > 0 {
			bs = append(bs, batch{kind, part})
		}
	}
	return bs
}
