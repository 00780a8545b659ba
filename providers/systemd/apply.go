package systemd

import (
	"context"
	"fmt"
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
		t.gone = t.target.NoFile || c.Before != nil && c.Before.Content != nil && t.target.Content == nil
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
	for _, step := range []func(context.Context, []task) error{p.stop, p.setMasked, p.install, p.setOthers, p.unset, p.start, p.trigger} {
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
	return p.resetFailed(ctx, tasks, func(t task) bool { return is(t.target.Active, false) && t.live != nil })
}

// resetFailed takes the mark of a failure from units, and with it the count of how often they were started lately.
func (p *units) resetFailed(ctx context.Context, tasks []task, pick func(t task) bool) error {
	statuses, err := p.manager.statuses(ctx, unique(names(tasks, pick)))
	if err != nil {
		return err
	}
	for _, name := range names(tasks, pick) {
		if statuses[name].Active != "failed" {
			continue
		}
		if err := p.manager.call(ctx, "ResetFailedUnit", []any{name}); err != nil {
			return fmt.Errorf("cannot reset the failure of %s: %w", name, err)
		}
	}
	return nil
}

func names(tasks []task, pick func(t task) bool) (names []string) {
	for _, t := range tasks {
		if pick(t) {
			names = append(names, t.target.Name)
		}
	}
	return names
}

// install brings unit files and the links that enable and mask to what they are to be.
func (p *units) install(ctx context.Context, tasks []task) error {
	changed := false
	do := func(pick func(t task) bool, method string, args ...any) error {
		names := names(tasks, pick)
		if len(names) == 0 {
			return nil
		}
		changed = true
		if err := p.manager.call(ctx, method, append([]any{names}, args...)); err != nil {
			return fmt.Errorf("cannot change how %v are installed: %w", names, err)
		}
		return nil
	}
	unmask := func(t task) bool { return is(t.target.Masked, false) && t.live != nil && !is(t.live.Masked, false) }
	mask := func(t task) bool { return is(t.target.Masked, true) && (t.live == nil || !is(t.live.Masked, true)) }
	disable := func(t task) bool {
		return t.live != nil && (is(t.target.Enabled, false) && !is(t.live.Enabled, false) || t.reenabled())
	}
	enable := func(t task) bool {
		return is(t.target.Enabled, true) && (t.live == nil || !is(t.live.Enabled, true) || t.reenabled())
	}
	const runtime, force = false, false
	if err := do(unmask, "UnmaskUnitFiles", runtime); err != nil {
		return err
	}
	// What goes is disabled by its [Install] section, and so before that goes.
	if err := do(disable, "DisableUnitFiles", runtime); err != nil {
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
	if err := do(enable, "EnableUnitFiles", runtime, force); err != nil {
		return err
	}
	if err := do(mask, "MaskUnitFiles", runtime, force); err != nil {
		return err
	}
	if !changed {
		return nil
	}
	if err := p.manager.reload(ctx); err != nil {
		return err
	}
	return p.enabled(ctx, names(tasks, enable))
}

// enabled says of units that were enabled which of them is not: systemd takes it for no error when there is nothing to be done for that.
func (p *units) enabled(ctx context.Context, names []string) error {
	var items []state.Item[Unit]
	on := true
	for _, name := range names {
		items = append(items, state.Item[Unit]{Want: Unit{Name: name, Enabled: &on}})
	}
	lives, err := p.ReadAll(ctx, items)
	if err != nil {
		return err
	}
	for _, live := range lives {
		if live.fileState != "" {
			return cannotEnable(*live)
		}
	}
	return nil
}

// reenabled says that a unit is enabled by other links than before, as its file is another.
func (t task) reenabled() bool {
	return is(t.target.Enabled, true) && t.target.Content != nil && t.live != nil && is(t.live.Enabled, true) && t.live.Content != nil && *t.live.Content != *t.target.Content
}

// reload has systemd read all unit files again.
func (m manager) reload(ctx context.Context) error {
	if err := m.call(ctx, "Reload", nil); err != nil {
		return fmt.Errorf("cannot have systemd read its unit files again: %w", err)
	}
	return nil
}

// started says that the unit is not active, and is to be.
func (t task) started() bool {
	return is(t.target.Active, true) && (t.live == nil || !is(t.live.Active, true))
}

// start starts what is to be active, also what systemd would not start any more as that has failed too often.
func (p *units) start(ctx context.Context, tasks []task) error {
	if err := p.resetFailed(ctx, tasks, task.started); err != nil {
		return err
	}
	var jobs []job
	for _, name := range names(tasks, task.started) {
		jobs = append(jobs, job{unit: name, verb: "start", method: "StartUnit"})
	}
	return p.manager.run(ctx, jobs)
}

// trigger restarts and reloads what is running. What was started just now has read everything already.
func (p *units) trigger(ctx context.Context, tasks []task) error {
	var jobs []job
	for _, t := range tasks {
		if t.does == "" || is(t.target.Active, false) || is(t.target.Masked, true) || t.started() || isTemplate(t.target.Name) {
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
