package state

import (
	"context"
	"errors"
)

func readWith[T Object](p Provider[T]) func(context.Context, []Addr, []Object) ([]Object, error) {
	if b, ok := p.(BatchReader[T]); ok {
		return func(ctx context.Context, addrs []Addr, wants []Object) ([]Object, error) {
			items := make([]Item[T], len(wants))
			for i, w := range wants {
				items[i] = Item[T]{addrs[i], w.(T)}
			}
			lives, err := b.ReadAll(ctx, items)
			if err != nil {
				return nil, err
			}
			objects := make([]Object, len(lives))
			for i, l := range lives {
				objects[i] = object(l)
			}
			return objects, nil
		}
	}
	return func(ctx context.Context, _ []Addr, wants []Object) ([]Object, error) {
		objects := make([]Object, len(wants))
		var errs []error
		for i, w := range wants {
			live, err := p.Read(ctx, w.(T))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			objects[i] = object(live)
		}
		return objects, errors.Join(errs...)
	}
}

func applyWith[T Object](p Provider[T]) func(context.Context, Site, []Change) error {
	if b, ok := p.(BatchApplier[T]); ok {
		return func(ctx context.Context, site Site, changes []Change) error {
			return b.ApplyAll(ctx, site, typed[T](changes))
		}
	}
	return func(ctx context.Context, _ Site, changes []Change) error {
		for _, c := range changes {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.Apply(ctx, pointer[T](c.Before), pointer[T](c.After)); err != nil {
				return err
			}
		}
		return nil
	}
}

func typed[T Object](changes []Change) []ChangeOf[T] {
	ts := make([]ChangeOf[T], len(changes))
	for i, c := range changes {
		ts[i] = ChangeOf[T]{c.Addr, pointer[T](c.Before), pointer[T](c.After), c.Trigger}
	}
	return ts
}

func pointer[T Object](o Object) *T {
	if o == nil {
		return nil
	}
	t := o.(T)
	return &t
}

func object[T Object](t *T) Object {
	if t == nil {
		return nil
	}
	return *t
}
