package systemd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Timer runs a command at times: it is the two units NAME.timer, which is enabled and active, and NAME.service.
type Timer struct {
	Name string `hcl:"name,label" json:"name"`
	// OnCalendar says when, as systemd.time(7) has it; Persistent, whether a time that was missed is made up for.
	OnCalendar string   `hcl:"on_calendar" json:"on_calendar,omitempty"`
	Command    []string `hcl:"command" json:"command,omitempty"`
	Persistent *bool    `hcl:"persistent,optional" json:"persistent,omitempty"`

	// Units are what is there where that is not what the rest comes to.
	Units []Unit `json:"units,omitempty"`
}

// Key is the timer's name.
func (t Timer) Key() string { return t.Name }

// Thing says that a timer is one thing, whoever declares it.
func (t Timer) Thing() string { return "unit " + t.Name + ".timer" }

// Same compares what the two units are.
func (t Timer) Same(other state.Object) bool {
	o, ok := other.(Timer)
	return ok && t.Name == o.Name && slices.EqualFunc(t.units(), o.units(), func(a, b Unit) bool { return a.sameState(b) })
}

// Check finds what systemd would not take.
func (t Timer) Check(report func(attr, summary, detail string)) {
	if !isUnitName(t.Name + ".timer") {
		report("", "Invalid timer name", t.Name+" is no name of a timer: it has letters, digits and :-_.\\@ only, and no .timer at its end.")
	}
	if strings.ContainsAny(t.OnCalendar, "\n\r") || strings.TrimSpace(t.OnCalendar) == "" {
		report("on_calendar", "Invalid time", "on_calendar is one time as systemd.time(7) has it, such as daily or Mon 03:00; systemd-analyze calendar checks it.")
	}
	if len(t.Command) == 0 || !strings.HasPrefix(t.Command[0], "/") || strings.ContainsAny(strings.Join(t.Command, ""), "\n\r\x00") {
		report("command", "Invalid command", "command is a list: the absolute path of a program, and its arguments, each without line breaks.")
	}
}

// units are what the timer comes to.
func (t Timer) units() []Unit {
	if t.Units != nil {
		return t.Units
	}
	on := true
	timer := "[Unit]\nDescription=When " + t.Name + " runs\n\n[Timer]\nOnCalendar=" + t.OnCalendar + "\n"
	if t.Persistent != nil {
		timer += "Persistent=" + map[bool]string{true: "yes", false: "no"}[*t.Persistent] + "\n"
	}
	timer += "\n[Install]\nWantedBy=timers.target\n"
	words := make([]string, len(t.Command))
	for i, word := range t.Command {
		words[i] = quote(word)
	}
	service := "[Unit]\nDescription=" + t.Name + "\n\n[Service]\nType=oneshot\nExecStart=" + strings.Join(words, " ") + "\n"
	return []Unit{
		{Name: t.Name + ".service", Content: &service},
		{Name: t.Name + ".timer", Content: &timer, Enabled: &on, Active: &on},
	}
}

// quote makes a word one of a command line in a unit file (systemd.service(5)): nothing in it is expanded.
func quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "%", "%%").Replace(word) + `"`
}

// timers is the provider of timers.
type timers struct{ *units }

// Read reads one timer.
func (p *timers) Read(ctx context.Context, want Timer) (*Timer, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Timer]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// Apply cannot be: units are changed together.
func (*timers) Apply(context.Context, *Timer, *Timer) error {
	return errors.New("timers are changed by ApplyAll")
}

// ReadAll reads the units of all timers in one go.
func (p *timers) ReadAll(ctx context.Context, items []state.Item[Timer]) ([]*Timer, error) {
	var of []state.Item[Unit]
	for _, it := range items {
		for _, u := range managedOf(it.Want) {
			of = append(of, state.Item[Unit]{Want: u})
		}
	}
	lives, err := p.units.ReadAll(ctx, of)
	if err != nil {
		return nil, err
	}
	timers := make([]*Timer, len(items))
	for i, it := range items {
		found := lives[2*i : 2*i+2]
		if found[0] == nil && found[1] == nil {
			continue
		}
		live := it.Want
		for j, u := range found {
			if u == nil {
				off := false
				found[j] = &Unit{Name: of[2*i+j].Want.Name}
				if j == 1 {
					found[j].Enabled, found[j].Active = &off, &off
				}
			}
			found[j].Found = nil
		}
		live.Units = []Unit{*found[0], *found[1]}
		if live.Same(it.Want) && it.Want.Units == nil {
			live.Units = nil
		}
		timers[i] = &live
	}
	return timers, nil
}

// managedOf are a timer's units with all that is managed of them, whatever they are.
func managedOf(t Timer) []Unit {
	t.Units = nil
	return t.units()
}

// ApplyAll changes the units of all timers in one go.
func (p *timers) ApplyAll(ctx context.Context, site state.Site, changes []state.ChangeOf[Timer]) error {
	var of []state.ChangeOf[Unit]
	for _, c := range changes {
		name := c.Addr.Key
		before, after := []*Unit{nil, nil}, []*Unit{nil, nil}
		for _, side := range []struct {
			timer *Timer
			units []*Unit
		}{{c.Before, before}, {c.After, after}} {
			if side.timer == nil {
				continue
			}
			for i, u := range side.timer.units() {
				side.units[i] = &u
			}
		}
		for i, suffix := range []string{".service", ".timer"} {
			addr := c.Addr
			addr.Key = name + suffix
			of = append(of, state.ChangeOf[Unit]{Addr: addr, Before: before[i], After: after[i]})
		}
	}
	return p.units.ApplyAll(ctx, site, of)
}

// Sync brings the unit files to disk.
func (p *timers) Sync(ctx context.Context, site state.Site, changes []state.ChangeOf[Timer]) error {
	var of []state.ChangeOf[Unit]
	for _, c := range changes {
		c.Addr.Key += ".timer"
		of = append(of, state.ChangeOf[Unit]{Addr: c.Addr})
	}
	return p.units.Sync(ctx, site, of)
}

// Owns says whether the units are ours: what we made, also when somebody has edited them.
func (p *timers) Owns(made *Timer, live Timer) bool {
	return made != nil && !slices.ContainsFunc(live.Units, func(u Unit) bool { return u.blocked != "" })
}

// Claim takes over units that are as wanted already, and refuses others.
func (p *timers) Claim(want, live Timer) (Timer, error) {
	for i, u := range live.units() {
		if _, err := p.units.Claim(want.units()[i], u); err != nil {
			return want, err
		}
	}
	return want, nil
}

// Disturbs says that the timer is started or stopped.
func (p *timers) Disturbs(before, after *Timer) []string {
	switch {
	case before == nil && after != nil:
		return []string{"starts " + after.Name + ".timer"}
	case before != nil && after == nil:
		return []string{"stops " + before.Name + ".timer"}
	}
	return nil
}
