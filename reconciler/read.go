package reconciler

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opdbus/opdbus/state"
)

// read reads the live state of what wants describe, in order: one batch a kind, the kinds side by side.
func (r *Reconciler) read(ctx context.Context, addrs []state.Addr, wants []state.Object) ([]state.Object, error) {
	type batch struct {
		kind  *state.Kind
		addrs []state.Addr
		wants []state.Object
		at    []int
	}
	var batches []*batch
	byKind := map[*state.Kind]*batch{}
	kinds := make([]*state.Kind, len(addrs))
	counts := map[*state.Kind]int{}
	for i, a := range addrs {
		// Neighbours are mostly of one node and kind.
		if i > 0 && a.Node == addrs[i-1].Node && a.Kind == addrs[i-1].Kind {
			kinds[i] = kinds[i-1]
		} else {
			var err error
			if kinds[i], err = r.kind(a); err != nil {
				return nil, err
			}
		}
		counts[kinds[i]]++
	}
	for i, a := range addrs {
		kind := kinds[i]
		b := byKind[kind]
		if b == nil {
			n := counts[kind]
			b = &batch{kind, make([]state.Addr, 0, n), make([]state.Object, 0, n), make([]int, 0, n)}
			byKind[kind] = b
			batches = append(batches, b)
		}
		b.addrs, b.wants, b.at = append(b.addrs, a), append(b.wants, wants[i]), append(b.at, i)
	}
	lives := make([]state.Object, len(wants))
	errs := make([]error, len(batches))
	var wg sync.WaitGroup
	for n, b := range batches {
		wg.Go(func() {
			read, err := b.kind.Read(ctx, b.addrs, b.wants)
			if err != nil {
				errs[n] = err
				return
			}
			if len(read) != len(b.at) {
				panic(fmt.Sprintf("kind %s read %d objects of %d", b.kind.Type(), len(read), len(b.at)))
			}
			for i, at := range b.at {
				lives[at] = read[i]
			}
		})
	}
	wg.Wait()
	return lives, errors.Join(errs...)
}

// kind finds the kind of an object.
func (r *Reconciler) kind(a state.Addr) (*state.Kind, error) {
	if k := r.Kinds.For(a); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("this version of opdbus has no kind for %s; use the version that made it, or take it out of the ledger with opdbus state rm", a)
}

// aim is the object whose live state tells what a change has done: what is wanted or, where nothing is, what there was.
func aim(c state.Change) state.Object {
	if c.After != nil {
		return c.After
	}
	if c.Before != nil {
		return c.Before
	}
	return c.Made
}

// start is the object whose live state tells what a change starts from: what it leads to may be described by other attributes, such as
// those of a thing of somebody else's that is put back.
func start(c state.Change) state.Object {
	if c.Before != nil {
		return c.Before
	}
	return aim(c)
}

// readChanges reads the live state of what the changes are about, as one of their objects describes it.
func (r *Reconciler) readChanges(ctx context.Context, changes []state.Change, as func(state.Change) state.Object) ([]state.Object, error) {
	addrs := make([]state.Addr, len(changes))
	wants := make([]state.Object, len(changes))
	for i, c := range changes {
		addrs[i], wants[i] = c.Addr, as(c)
	}
	return r.read(ctx, addrs, wants)
}
