package reconciler

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// checkUnit asks whether a unit is active, of the kind that looks after units.
func (r *Reconciler) checkUnit(ctx context.Context, name string) error {
	a := state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "systemd"}, Kind: "unit", Key: name}
	kind, want, live, err := r.readFor(ctx, a, map[string]any{"name": name, "active": true})
	if err != nil || state.Same(live, want) {
		return err
	}
	if why := kind.Explain(ctx, want, live); why != "" {
		return fmt.Errorf("%s is not active: %s", name, why)
	}
	return fmt.Errorf("%s is not active", name)
}

// checkProperty asks whether a property on the bus is what it is to be, of the kind that looks after properties.
func (r *Reconciler) checkProperty(ctx context.Context, c state.Check) error {
	of := c.DBusProperty
	a := state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "dbus"}, Kind: "property", Key: c.Name}
	_, want, live, err := r.readFor(ctx, a, struct {
		Name string `json:"name"`
		*state.BusProperty
	}{c.Name, of})
	if err != nil || state.Same(live, want) {
		return err
	}
	if live == nil {
		return fmt.Errorf("%s at %s has no property %s of %s", of.Service, of.Path, of.Property, of.Interface)
	}
	raw, err := encode(live)
	if err != nil {
		return err
	}
	var found struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return err
	}
	return fmt.Errorf("%s.%s of %s at %s is %s, and %s is wanted", of.Interface, of.Property, of.Service, of.Path, found.Value, of.Equals)
}

// readFor reads what is live of something that a check asks for, which no node need declare.
func (r *Reconciler) readFor(ctx context.Context, a state.Addr, what any) (kind *state.Kind, want, live state.Object, err error) {
	if kind, err = r.kind(a); err != nil {
		return nil, nil, nil, err
	}
	raw, err := json.Marshal(what)
	if err != nil {
		return nil, nil, nil, err
	}
	if want, err = kind.Decode(raw); err != nil {
		return nil, nil, nil, err
	}
	lives, err := kind.Read(ctx, []state.Addr{a}, []state.Object{want})
	if err != nil {
		return nil, nil, nil, err
	}
	return kind, want, lives[0], nil
}
