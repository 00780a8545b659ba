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
// the times of files and links.
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
	if !same(live.Enabled, made.Enabled) {
		if err := later(p.enablementChanged(ctx, made.Name)); err != nil {
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

// enablementChanged is when a unit was last enabled or disabled, by the links that its file asks for; zero where it asks for none.
func (p *units) enablementChanged(ctx context.Context, unit string) (last time.Time, err error) {
	t, err := p.files.fs.Open()
	if err != nil {
		return last, err
	}
	defer t.Close()
	l, err := p.links(ctx, t)
	if err != nil {
		return last, err
	}
	file, err := l.find(unit)
	if template := templateOf(unit); err == nil && file.dir == "" && template != "" {
		file, err = l.find(template)
	}
	if err != nil || !file.regular {
		return last, err
	}
	content, err := t.ReadFile(file.dir+"/"+file.name, limit)
	if err != nil {
		return last, fmt.Errorf("cannot read what enables %s: %w", unit, err)
	}
	for _, dir := range wantedIn(string(content)) {
		at, err := p.files.fs.Changed(pathOf(dir + "/" + unit))
		if err == nil && at.IsZero() { // systemd removes a directory with its last link
			at, err = p.files.fs.Changed(pathOf(dir))
		}
		if err != nil {
			return last, err
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
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
