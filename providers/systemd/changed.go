package systemd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opdbus/opdbus/state"
)

// Changed says when that of a unit last changed which is not as it was made: when it was started or stopped by systemd's record, else by
// the times of files. Of the links by which it is enabled there is none that would tell.
func (p *units) Changed(ctx context.Context, item state.Item[Unit]) (time.Time, error) {
	made := item.Want
	live, err := p.Read(ctx, made)
	if err != nil {
		return time.Time{}, err
	}
	if live == nil {
		return p.files.fs.Changed(pathOf(made.Name))
	}
	var last time.Time
	later := func(t time.Time, err error) error {
		if t.After(last) {
			last = t
		}
		return err
	}
	if !same(live.Active, made.Active) {
		if err := later(p.stateChanged(ctx, made.Name)); err != nil {
			return last, err
		}
	}
	if !same(live.Content, made.Content) || !same(live.Masked, made.Masked) {
		if err := later(p.files.fs.Changed(pathOf(made.Name))); err != nil {
			return last, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(made.Properties)) {
		if live.Properties[name] == made.Properties[name] {
			continue
		}
		if err := later(p.files.fs.Changed(controlPath(made.Name, name))); err != nil {
			return last, err
		}
	}
	return last, nil
}

// stateChanged is when a unit was last started, stopped, or failed; zero where that was before systemd knew of it.
func (p *units) stateChanged(ctx context.Context, unit string) (time.Time, error) {
	path, err := p.manager.object(ctx, unit)
	if err != nil {
		return time.Time{}, err
	}
	var usec uint64
	if err := p.manager.property(ctx, path, unitFace, "StateChangeTimestamp", &usec); err != nil {
		return time.Time{}, fmt.Errorf("cannot see when %s changed: %w", unit, err)
	}
	if usec == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(int64(usec)), nil
}

// Changed says when a drop-in last changed.
func (p *dropIns) Changed(_ context.Context, item state.Item[DropIn]) (time.Time, error) {
	return p.files.fs.Changed(item.Want.path())
}

// Changed says when one of a timer's units last changed.
func (p *timers) Changed(ctx context.Context, item state.Item[Timer]) (last time.Time, err error) {
	for _, u := range managedOf(item.Want) {
		t, err := p.units.Changed(ctx, state.Item[Unit]{Addr: item.Addr, Want: u})
		if err != nil {
			return last, err
		}
		if t.After(last) {
			last = t
		}
	}
	return last, nil
}
