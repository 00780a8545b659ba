package systemd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// List is the timers that opdbus wrote: those whose two unit files are what some timer comes to.
func (p *timers) List(context.Context) ([]Timer, error) {
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	names, err := t.Names(unitDir)
	if hostfs.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list timers: %w", err)
	}
	slices.Sort(names)
	var all []Timer
	for _, file := range names {
		name, ok := strings.CutSuffix(file, ".timer")
		if !ok {
			continue
		}
		timer, err := p.files.read(t, pathOf(file))
		if err != nil {
			return nil, err
		}
		service, err := p.files.read(t, pathOf(name+".service"))
		if err != nil {
			return nil, err
		}
		if found, ok := timerOf(name, service, timer); ok {
			all = append(all, found)
		}
	}
	return all, nil
}

// timerOf is the timer that two unit files were written for.
func timerOf(name string, service, timer unitFile) (Timer, bool) {
	if !service.marked || !timer.marked {
		return Timer{}, false
	}
	t := Timer{Name: name}
	for line := range strings.Lines(timer.content) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "OnCalendar":
			t.OnCalendar = value
		case "Persistent":
			persistent := value == "yes"
			t.Persistent = &persistent
		}
	}
	for line := range strings.Lines(service.content) {
		if command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "ExecStart="); ok {
			t.Command = unquote(command)
		}
	}
	units := t.units()
	return t, *units[0].Content == service.content && *units[1].Content == timer.content
}

// unquote takes apart a command line that quote made the words of.
func unquote(command string) (words []string) {
	var word strings.Builder
	quoted := false
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case c == '"' && quoted:
			words = append(words, word.String())
			word.Reset()
			quoted = false
		case c == '"':
			quoted = true
		case quoted:
			if (c == '\\' || c == '$' || c == '%') && i+1 < len(command) {
				i++
				c = command[i]
			}
			word.WriteByte(c)
		}
	}
	return words
}

// calendarTime is how long it may take to check a time.
const calendarTime = 10 * time.Second

// PlanAll checks times that are new, where there is systemd-analyze(1), which knows them all.
func (p *timers) PlanAll(ctx context.Context, items []state.Planned[Timer]) error {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return nil // systemd says so itself when it reads the timer
	}
	var errs []error
	for _, it := range items {
		if it.Want == nil || it.Made != nil && it.Made.OnCalendar == it.Want.OnCalendar {
			continue
		}
		errs = append(errs, checkCalendar(ctx, program, *it.Want))
	}
	return errors.Join(errs...)
}

func checkCalendar(ctx context.Context, program string, t Timer) error {
	ctx, cancel := context.WithTimeout(ctx, calendarTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "calendar", "--", t.OnCalendar)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err == nil {
		return nil
	}
	if !errors.As(err, &exit) || ctx.Err() != nil {
		return fmt.Errorf("cannot check on_calendar of timer %s: %s: %w", t.Name, program, err)
	}
	said, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return fmt.Errorf("timer %s: on_calendar = %q is no time as systemd.time(7) has it: %s", t.Name, t.OnCalendar, said)
}
