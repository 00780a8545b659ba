package systemd

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/state"
)

// A task is what is to become of a unit.
type task struct {
	live   *Unit // as it is now
	target Unit
	gone   bool    // its file goes
	before *string // the content that its file may have besides what is marked as ours
	does   state.Trigger
}

// ApplyAll takes units from wherever they are to where they are to be: first what stops, then files and links with one reload of
// systemd for all, then what starts, all at once. Each part looks at what is there, so that it can be made again after a cut.
func (p *units) ApplyAll(ctx context.Context, site state.Site, changes []state.ChangeOf[Unit]) error {
	tasks := make([]task, len(changes))
	items := make([]state.Item[Unit], len(changes))
	for i, c := range changes {
		t := task{does: c.Trigger}
		if c.Before != nil {
			t.before = c.Before.Content
		}
		if c.After != nil {
			t.target = *c.After
		} else {
			t.target = c.Before.goesTo()
		}
		t.gone = c.Before != nil && c.Before.Content != nil && t.target.Content == nil
		tasks[i] = t
		items[i] = state.Item[Unit]{Addr: c.Addr, Want: t.target}
		if t.gone {
			empty := ""
			items[i].Want.Content = &empty // so that it is looked at
		}
	}
	lives, err := p.ReadAll(ctx, items)
	if err != nil {
		return err
	}
	for i := range tasks {
		tasks[i].live = lives[i]
	}
	for _, step := range []func(context.Context, []task) error{p.stop, p.install, p.set, p.start, p.trigger} {
		if err := step(ctx, tasks); err != nil {
			return err
		}
	}
	return nil
}

func is(b *bool, v bool) bool { return b != nil && *b == v }

// stop stops what is to be inactive, and clears the mark of a failure, which a unit that was never started has not.
func (p *units) stop(ctx context.Context, tasks []task) error {
	var jobs []job
	for _, t := range tasks {
		if is(t.target.Active, false) && t.live != nil && !is(t.live.Active, false) {
			jobs = append(jobs, job{unit: t.target.Name, verb: "stop", method: "StopUnit"})
		}
	}
	if err := p.manager.run(ctx, jobs); err != nil {
		return err
	}
	var names []string
	for _, t := range tasks {
		if is(t.target.Active, false) && t.live != nil {
			names = append(names, t.target.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	var statuses []status
	if err := p.manager.call(ctx, "ListUnitsByNames", []any{names}, &statuses); err != nil {
		return err
	}
	for _, s := range statuses {
		if s.Active == "failed" {
			if err := p.manager.call(ctx, "ResetFailedUnit", []any{s.Name}); err != nil {
				return err
			}
		}
	}
	return nil
}

// install brings unit files and the links that enable and mask to what they are to be.
func (p *units) install(ctx context.Context, tasks []task) error {
	changed := false
	do := func(pick func(t task) bool, method string, args ...any) error {
		var names []string
		for _, t := range tasks {
			if pick(t) {
				names = append(names, t.target.Name)
			}
		}
		if len(names) == 0 {
			return nil
		}
		changed = true
		if err := p.manager.call(ctx, method, append([]any{names}, args...)); err != nil {
			return fmt.Errorf("cannot change how %v are installed: %w", names, err)
		}
		return nil
	}
	off := func(of func(Unit) *bool) func(t task) bool {
		return func(t task) bool { return is(of(t.target), false) && t.live != nil && !is(of(*t.live), false) }
	}
	on := func(of func(Unit) *bool) func(t task) bool {
		return func(t task) bool { return is(of(t.target), true) && (t.live == nil || !is(of(*t.live), true)) }
	}
	masked := func(u Unit) *bool { return u.Masked }
	enabled := func(u Unit) *bool { return u.Enabled }
	const runtime, force = false, false
	if err := do(off(masked), "UnmaskUnitFiles", runtime); err != nil {
		return err
	}
	// What goes is disabled by its [Install] section, and so before that goes.
	if err := do(off(enabled), "DisableUnitFiles", runtime); err != nil {
		return err
	}
	for _, t := range tasks {
		var err error
		switch {
		case t.target.Content != nil:
			err = p.files.write(pathOf(t.target.Name), *t.target.Content, !t.target.Unmarked, t.before)
		case t.gone:
			err = p.files.remove(pathOf(t.target.Name), t.before, nil)
		default:
			continue
		}
		if err != nil {
			return err
		}
		changed = true // also when it was so: a cut may have come between this and the reload
	}
	if err := do(on(enabled), "EnableUnitFiles", runtime, force); err != nil {
		return err
	}
	if err := do(on(masked), "MaskUnitFiles", runtime, force); err != nil {
		return err
	}
	if !changed {
		return nil
	}
	return p.manager.reload(ctx)
}

// reload has systemd read all unit files again.
func (m manager) reload(ctx context.Context) error {
	if err := m.call(ctx, "Reload", nil); err != nil {
		return fmt.Errorf("cannot have systemd read its unit files again: %w", err)
	}
	return nil
}

// A setting is a property and its value, as SetUnitProperties takes them.
type setting struct {
	Name  string
	Value dbus.Variant
}

func (p *units) set(ctx context.Context, tasks []task) error {
	for _, t := range tasks {
		if len(t.target.Properties) == 0 || t.live != nil && maps.Equal(t.live.Properties, t.target.Properties) {
			continue
		}
		all, err := p.allProperties(ctx, t.target.Name)
		if err != nil {
			return err
		}
		var settings []setting
		for _, name := range slices.Sorted(maps.Keys(t.target.Properties)) {
			v, err := parse(name, t.target.Properties[name], all[name].Signature())
			if err != nil {
				return fmt.Errorf("cannot set properties of %s: %w", t.target.Name, err)
			}
			if v.String() != all[name].String() {
				settings = append(settings, setting{name, v})
			}
		}
		if len(settings) == 0 {
			continue
		}
		if err := p.manager.call(ctx, "SetUnitProperties", []any{t.target.Name, true, settings}); err != nil {
			return fmt.Errorf("cannot set properties of %s: %w", t.target.Name, err)
		}
	}
	return nil
}

// start starts what is to be active.
func (p *units) start(ctx context.Context, tasks []task) error {
	var jobs []job
	for _, t := range tasks {
		if is(t.target.Active, true) && (t.live == nil || !is(t.live.Active, true)) {
			jobs = append(jobs, job{unit: t.target.Name, verb: "start", method: "StartUnit"})
		}
	}
	return p.manager.run(ctx, jobs)
}

// trigger restarts and reloads what is running. What was started just now has read everything already.
func (p *units) trigger(ctx context.Context, tasks []task) error {
	var jobs []job
	for _, t := range tasks {
		if t.does == "" || is(t.target.Active, false) || is(t.target.Active, true) && (t.live == nil || !is(t.live.Active, true)) {
			continue
		}
		j := job{unit: t.target.Name, verb: "restart", method: "TryRestartUnit"}
		if t.does == state.Reload {
			j.verb, j.method = "reload", "ReloadOrTryRestartUnit"
		}
		jobs = append(jobs, j)
	}
	return p.manager.run(ctx, jobs)
}

// Sync brings the unit files and the links to disk.
func (p *units) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[Unit]) error {
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = pathOf(c.Addr.Key)
	}
	return p.files.sync(paths)
}
