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
	for i, a := range addrs {
		kind, err := r.kind(a)
		if err != nil {
			return nil, err
		}
		b := byKind[kind]
		if b == nil {
			b = &batch{kind: kind}
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

// readChanges reads the live state of what the changes are about.
func (r *Reconciler) readChanges(ctx context.Context, changes []state.Change) ([]state.Object, error) {
	addrs := make([]state.Addr, len(changes))
	wants := make([]state.Object, len(changes))
	for i, c := range changes {
		addrs[i], wants[i] = c.Addr, aim(c)
	}
	return r.read(ctx, addrs, wants)
}
