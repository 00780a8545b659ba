package reconciler

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// checkUnit asks whether a unit is active, of the kind that looks after units.
func (r *Reconciler) checkUnit(ctx context.Context, c state.Check) error {
	kind, want, live, err := r.readFor(ctx, c)
	if err != nil || state.Same(live, want) {
		return err
	}
	if why := kind.Explain(ctx, want, live); why != "" {
		return fmt.Errorf("%s is not active: %s", c.Unit, why)
	}
	return fmt.Errorf("%s is not active", c.Unit)
}

// checkProperty asks whether a property on the bus is what it is to be, of the kind that looks after properties.
func (r *Reconciler) checkProperty(ctx context.Context, c state.Check) error {
	of := c.DBusProperty
	kind, want, live, err := r.readFor(ctx, c)
	if err != nil || state.Same(live, want) {
		return err
	}
	if live == nil {
		err := fmt.Errorf("%s at %s has no property %s of %s", of.Service, of.Path, of.Property, of.Interface)
		if why := kind.Explain(ctx, want, live); why != "" {
			err = fmt.Errorf("%w: %s", err, why)
		}
		return err
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

// askedFor is what a check asks for of a running service, as an object that no node need declare, with the kind that looks after such ones.
func (r *Reconciler) askedFor(c state.Check) (a state.Addr, kind *state.Kind, want state.Object, err error) {
	var what any
	if c.Unit != "" {
		a = state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "systemd"}, Kind: "unit", Key: c.Unit}
		what = map[string]any{"name": c.Unit, "active": true}
	} else {
		a = state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "dbus"}, Kind: "property", Key: c.Name}
		what = struct {
			Name string `json:"name"`
			*state.BusProperty
		}{c.Name, c.DBusProperty}
	}
	if kind, err = r.kind(a); err != nil {
		return a, nil, nil, err
	}
	raw, err := json.Marshal(what)
	if err != nil {
		return a, nil, nil, err
	}
	want, err = kind.Decode(raw)
	return a, kind, want, err
}

// readFor reads what is live of what a check asks for.
func (r *Reconciler) readFor(ctx context.Context, c state.Check) (kind *state.Kind, want, live state.Object, err error) {
	a, kind, want, err := r.askedFor(c)
	if err != nil {
		return nil, nil, nil, err
	}
	lives, err := kind.Read(ctx, []state.Addr{a}, []state.Object{want})
	if err != nil {
		return nil, nil, nil, err
	}
	return kind, want, lives[0], nil
}

// senseless finds health checks that ask for what cannot be, such as a unit whose name is none.
func (r *Reconciler) senseless(config *state.Config) state.Diagnostics {
	var diags state.Diagnostics
	for _, n := range config.Nodes {
		for _, c := range n.Health {
			if c.Unit == "" && c.DBusProperty == nil {
				continue
			}
			_, _, want, err := r.askedFor(c)
			if err != nil {
				diags.Errorf(c.Source, "Invalid health check", "It cannot be made: %s.", err)
				continue
			}
			if checked, ok := want.(state.Checked); ok {
				checked.Check(func(_, summary, detail string) { diags.Errorf(c.Source, summary, "%s", detail) })
			}
		}
	}
	return diags
}
