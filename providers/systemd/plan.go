package systemd

import (
	"context"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// Owns says whether what is there is what opdbus made of the unit: anything but what it found. What cannot be made as it is wanted is
// for Claim to say.
func (p *units) Owns(made *Unit, live Unit) bool {
	if live.fileState != "" || live.blocked != "" {
		return false
	}
	return made != nil && (made.Found == nil || !live.managed(*made).sameState(*made.Found))
}

// Claim takes the unit as it is found, which is what it goes back to.
func (p *units) Claim(want, live Unit) (Unit, error) {
	switch {
	case live.fileState != "":
		return want, cannotEnable(live)
	case live.blocked != "":
		return want, fmt.Errorf("%s is there already and is not opdbus' own: %s. Move it away, or take out content", pathOf(want.Name), live.blocked)
	case want.Content != nil && live.Content != nil && live.Unmarked && *live.Content != *want.Content:
		return want, fmt.Errorf("%s is there already and is not opdbus' own: %d bytes that somebody else wrote. Move it away, or write a drop_in in place of content", pathOf(want.Name), len(*live.Content))
	}
	found := live.managed(want)
	want.Found = &found
	return want, nil
}

// cannotEnable says that no change makes the unit enabled, disabled or masked.
func cannotEnable(live Unit) error {
	remedy := "Take out enabled and masked"
	switch live.fileState {
	case stateMasked:
		return fmt.Errorf("%s cannot be enabled or started: it is masked. Add masked = false, or take it out", live.Name)
	case "static":
		remedy = "Its file has no [Install] section, so that it is started by what needs it: take out enabled, or add an [Install] section by a drop_in"
	case "alias":
		remedy = "It is another name of a unit: name that one"
	case "indirect":
		remedy = "Its [Install] section has others be enabled in its place (Also=): name these"
	case "linked", "linked-runtime":
		remedy = "Its file is elsewhere, and a link leads there: give the unit its content here, or take out enabled"
	case "generated", "transient":
		remedy = "A program has made it: take out enabled, or mask it"
	case "enabled-runtime":
		remedy = "That ends with the next boot: run systemctl disable --runtime " + live.Name + " first"
	case "masked-runtime":
		remedy = "That ends with the next boot: run systemctl unmask --runtime " + live.Name + " first"
	}
	what := "enabled or disabled"
	if live.Enabled == nil {
		what = "masked or unmasked"
	}
	return fmt.Errorf("%s cannot be %s: systemd says that it is %s. %s", live.Name, what, live.fileState, remedy)
}

// PlanAll keeps what was found, and adds to it what is managed from now on. A unit file of opdbus' own that is no longer declared goes.
func (p *units) PlanAll(_ context.Context, items []state.Planned[Unit]) error {
	for i, it := range items {
		if it.Want != nil && it.Made != nil && it.Want.Content == nil && (it.Made.Found == nil || it.Made.Found.Content == nil) {
			items[i].Want.NoFile = it.Made.NoFile || it.Made.Content != nil
		}
		if it.Want == nil || it.Made == nil || it.Made.Found == nil {
			continue
		}
		live := Unit{Name: it.Want.Name}
		if it.Live != nil {
			live = *it.Live
		}
		found := it.Made.Found.with(live, *it.Want)
		items[i].Want.Found = &found
	}
	return nil
}

// Disturbs says what is started and stopped.
func (p *units) Disturbs(before, after *Unit) []string {
	is := func(u *Unit) *bool {
		if u == nil {
			return nil
		}
		return u.Active
	}
	name, was, will := "", is(before), is(after)
	if before != nil {
		name = before.Name
		if after == nil {
			target := before.goesTo()
			will = target.Active
		}
	}
	if after != nil {
		name = after.Name
	}
	switch {
	case will == nil || was != nil && *was == *will || was == nil && !*will:
		return nil
	case *will:
		return []string{"starts " + name}
	}
	return []string{"stops " + name}
}

// Irreversible says of what is no more once it is stopped.
func (p *units) Irreversible(before, after *Unit) string {
	if before == nil || after == nil || !before.passing || !is(before.Active, true) || !is(after.Active, false) {
		return ""
	}
	return before.Name + " was made by a program while the host runs, and cannot be started again once it is stopped"
}

// goesTo is what a unit becomes that is no longer managed.
func (u Unit) goesTo() Unit {
	if u.Found != nil {
		return *u.Found
	}
	return u.absent()
}
