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
		return want, fmt.Errorf("%s cannot be enabled: systemd says that it is %s. %s", want.Name, live.fileState, enableRemedy(live.fileState))
	case live.blocked != "":
		return want, fmt.Errorf("%s is there already and is not opdbus' own: %s. Move it away, or take out content", pathOf(want.Name), live.blocked)
	case want.Content != nil && live.Content != nil && live.Unmarked && *live.Content != *want.Content:
		return want, fmt.Errorf("%s is there already and is not opdbus' own: %d bytes that somebody else wrote. Move it away, or write a drop_in in place of content", pathOf(want.Name), len(*live.Content))
	}
	found := live.managed(want)
	want.Found = &found
	return want, nil
}

func enableRemedy(fileState string) string {
	switch fileState {
	case "static":
		return "Its file has no [Install] section, so that it is started by what needs it: take out enabled, or add an [Install] section by a drop_in"
	case "alias":
		return "It is another name of a unit: name that one"
	}
	return "Take out enabled"
}

// PlanAll keeps what was found, and adds to it what is managed from now on.
func (p *units) PlanAll(_ context.Context, items []state.Planned[Unit]) error {
	for i, it := range items {
		if it.Want == nil || it.Made == nil || it.Made.Found == nil || it.Live == nil {
			continue
		}
		found := it.Made.Found.with(*it.Live, *it.Want)
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

// goesTo is what a unit becomes that is no longer managed.
func (u Unit) goesTo() Unit {
	if u.Found != nil {
		return *u.Found
	}
	return u.absent()
}
