package systemd

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/godbus/dbus/v5"
)

// properties are those that want has: in want's words where they come to the same.
func (p *units) properties(ctx context.Context, object dbus.ObjectPath, want Unit) (map[string]string, error) {
	all, err := p.manager.bus.GetAll(ctx, service, object, "")
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(want.Properties))
	for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
		wanted, err := parse(all, name, want.Properties[name])
		if err != nil {
			return nil, err
		}
		live := all[name].String()
		if found[name] = live; wanted.String() == live {
			found[name] = want.Properties[name]
		}
	}
	return found, nil
}

// parse reads a property's value, which is of the type that the unit's is. Text need not be quoted, and no limit is infinity.
func parse(all map[string]dbus.Variant, name, text string) (dbus.Variant, error) {
	live, ok := all[name]
	if !ok {
		return live, fmt.Errorf("it has no property %s", name)
	}
	sig := live.Signature()
	if sig.String() == "t" && text == "infinity" {
		return dbus.MakeVariant(uint64(math.MaxUint64)), nil
	}
	v, err := dbus.ParseVariant(text, sig)
	if err == nil {
		return v, nil
	}
	if sig.String() == "s" {
		return dbus.MakeVariant(text), nil
	}
	return v, fmt.Errorf("the property %s is of type %s, and %q is not: %w", name, sig, text, err)
}

// A setting is a property and its value, as SetUnitProperties takes them.
type setting struct {
	Name  string
	Value dbus.Variant
}

// setMasked sets properties of what is about to be masked, as a masked unit's cannot be set.
func (p *units) setMasked(ctx context.Context, tasks []task) error {
	return p.set(ctx, tasks, func(t task) bool {
		return is(t.target.Masked, true) && t.live != nil && !is(t.live.Masked, true)
	})
}

// setOthers sets properties of what is not to be masked.
func (p *units) setOthers(ctx context.Context, tasks []task) error {
	return p.set(ctx, tasks, func(t task) bool { return !is(t.target.Masked, true) })
}

// set sets the properties that differ.
func (p *units) set(ctx context.Context, tasks []task, pick func(t task) bool) error {
	for _, t := range tasks {
		if !pick(t) || len(t.target.Properties) == 0 || t.live != nil && maps.Equal(t.live.Properties, t.target.Properties) {
			continue
		}
		if err := p.setOne(ctx, t.target); err != nil {
			return fmt.Errorf("cannot set properties of %s: %w", t.target.Name, err)
		}
	}
	return nil
}

func (p *units) setOne(ctx context.Context, target Unit) error {
	object, err := p.manager.object(ctx, target.Name)
	if err != nil {
		return err
	}
	all, err := p.manager.bus.GetAll(ctx, service, object, "")
	if err != nil {
		return err
	}
	var settings []setting
	for _, name := range slices.Sorted(maps.Keys(target.Properties)) {
		v, err := parse(all, name, target.Properties[name])
		if err != nil {
			return err
		}
		if v.String() != all[name].String() {
			settings = append(settings, setting{name, v})
		}
	}
	if len(settings) == 0 {
		return nil
	}
	const runtime = true
	return p.manager.call(ctx, "SetUnitProperties", []any{target.Name, runtime, settings})
}
