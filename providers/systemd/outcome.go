package systemd

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// outcome says what became of a unit by a job that is over; nil when that is what the job was for. That a job is done does not mean that
// the unit is active: its conditions may have kept it from being started.
func (m manager) outcome(ctx context.Context, j job) error {
	path, err := m.object(ctx, j.unit)
	if err != nil {
		return err
	}
	unit, err := m.bus.GetAll(ctx, service, path, unitFace)
	if err != nil {
		return fmt.Errorf("cannot see what became of %s: %w", j.unit, err)
	}
	active := text(unit["ActiveState"])
	if j.verb == "stop" {
		if j.result == "done" || active == "inactive" || active == "failed" {
			return nil
		}
		return fmt.Errorf("cannot stop %s: %s%s", j.unit, because(j.result), lastLines(ctx, j.unit))
	}
	if j.result == "done" && (active == "active" || active == "reloading" || active == "refreshing") {
		return nil
	}
	if j.verb != "start" && j.result == "done" && active == "inactive" { // it was not running, and needs none of this
		return nil
	}
	details, _ := m.bus.GetAll(ctx, service, path, serviceFace) // which only services have
	switch {
	case text(unit["LoadState"]) == "not-found":
		return fmt.Errorf("cannot %s %s: there is no such unit", j.verb, j.unit)
	case j.result == "done" && text(unit["ConditionResult"]) == "false":
		return fmt.Errorf("%s was not started: its condition %s does not hold", j.unit, condition(unit["Conditions"]))
	case j.result == "done" && text(details["Type"]) == "oneshot" && text(details["RemainAfterExit"]) == "false" && text(details["Result"]) == "success":
		return fmt.Errorf("%s ran and is inactive again, as it is of type oneshot: add RemainAfterExit=yes to it, or take out active", j.unit)
	}
	why := because(j.result)
	if found := reason(details); found != "" {
		why = found
	} else if j.result == "done" {
		why = "it is " + active + " (" + text(unit["SubState"]) + ")"
	}
	return fmt.Errorf("cannot %s %s: %s%s", j.verb, j.unit, why, lastLines(ctx, j.unit))
}

// reason is why a service failed; empty where it did not, or is none.
func reason(details map[string]dbus.Variant) string {
	switch r := text(details["Result"]); r {
	case "", "success":
		return ""
	case "exit-code":
		return "its process ended with status " + text(details["ExecMainStatus"])
	default:
		return "result " + r
	}
}

// Explain says why a unit is not active that was started.
func (p *units) Explain(ctx context.Context, want Unit, live *Unit) string {
	if !is(want.Active, true) || live == nil || is(live.Active, true) {
		return ""
	}
	path, err := p.manager.object(ctx, want.Name)
	if err != nil {
		return err.Error()
	}
	details, _ := p.manager.bus.GetAll(ctx, service, path, serviceFace)
	why := reason(details)
	if why == "" {
		why = "nothing tells why"
	}
	return why + lastLines(ctx, want.Name)
}

// because is a job's result in words.
func because(result string) string {
	switch result {
	case "timeout":
		return "it took longer than it may"
	case "dependency":
		return "a unit that it needs could not be started"
	case "canceled":
		return "somebody else cancelled that, or asked for the opposite"
	case "skipped":
		return "it does not apply to what the unit is now"
	}
	return result
}

// text is a property's value; empty for none.
func text(v dbus.Variant) string {
	switch value := v.Value().(type) {
	case nil:
		return ""
	case string:
		return value
	default:
		return fmt.Sprint(value)
	}
}

// condition is the first condition that did not hold, as the unit file has it.
func condition(v dbus.Variant) string {
	var conditions []struct {
		Type            string
		Trigger, Negate bool
		Parameter       string
		State           int32
	}
	if v.Value() == nil || v.Store(&conditions) != nil {
		return "or assertion"
	}
	for _, c := range conditions {
		if c.State < 0 {
			not := ""
			if c.Negate {
				not = "!"
			}
			return c.Type + "=" + not + c.Parameter
		}
	}
	return "or assertion"
}

// journalTime is how long the journal may take to give its last lines.
const journalTime = 5 * time.Second

// lastLines are the last lines of a unit's journal, for people.
func lastLines(ctx context.Context, unit string) string {
	ctx, cancel := context.WithTimeout(ctx, journalTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--unit="+unit, "--lines=5", "--output=cat", "--no-pager", "--quiet").Output()
	if err != nil {
		return fmt.Sprintf(" (and its journal cannot be read: %v)", err)
	}
	out = bytes.TrimSpace(out)
	if len(out) == 0 {
		return " (and its journal has nothing of it)"
	}
	return "; the last lines of its journal:\n  " + strings.ReplaceAll(string(out), "\n", "\n  ")
}
