package dbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// properties is the provider of properties.
type properties struct {
	bus   *sysbus.Bus
	known *index
}

// Live says that properties are states of running services, for state.Live.
func (*properties) Live() {}

// Read reads one property.
func (p *properties) Read(ctx context.Context, want Property) (*Property, error) {
	live, _, err := p.read(ctx, newReader(p.bus), want)
	return live, err
}

// ReadAll reads all properties, those of one interface of an object by one call.
func (p *properties) ReadAll(ctx context.Context, items []state.Item[Property]) ([]*Property, error) {
	r := newReader(p.bus)
	lives := make([]*Property, len(items))
	var errs []error
	said := map[string]bool{} // what a service did not answer is said once
	for i, it := range items {
		live, _, err := p.read(ctx, r, it.Want)
		if err != nil && !said[it.Want.Service] {
			errs, said[it.Want.Service] = append(errs, err), true
		}
		lives[i] = live
	}
	return lives, errors.Join(errs...)
}

// read reads a property, and what the bus itself says of its value.
func (p *properties) read(ctx context.Context, r *reader, want Property) (*Property, dbus.Variant, error) {
	v, ok, err := r.get(ctx, want.place())
	if err != nil || !ok {
		return nil, v, err
	}
	live := want
	if live.Value, err = asWanted(want.Value, v); err != nil {
		return nil, v, fmt.Errorf("cannot read %s: %w", want.place(), err)
	}
	return &live, v, nil
}

// asWanted is what a variant holds, written as want writes it where the two are the same.
func asWanted(want any, v dbus.Variant) (any, error) {
	live, err := decodeVariant(v)
	if err != nil {
		return nil, err
	}
	s := signature(v.Signature().String())
	if sent, err := encode(want, s, v.Value()); err == nil {
		if same, err := decode(sent, s); err == nil && equal(same, live) {
			return want, nil
		}
	}
	return live, nil
}

// Explain says why there is no such property, in the words of who was asked. Of a value it says nothing: it may be a secret.
func (p *properties) Explain(ctx context.Context, want Property, live *Property) string {
	if live != nil {
		return ""
	}
	if _, err := p.bus.Get(ctx, want.Service, want.path(), want.Interface, want.Property); err != nil {
		return err.Error()
	}
	return ""
}

// Owns says whether what is there is what opdbus made it: anything but what it found. Where it found nothing, there is nothing to go back
// to, and what is there stays.
func (*properties) Owns(made *Property, live Property) bool {
	return made != nil && made.Found != nil && made.Thing() == live.Thing() && !equal(made.Found.Value, live.Value)
}

// Claim takes the property as it is found, which is what it goes back to.
func (*properties) Claim(want, live Property) (Property, error) {
	live.Found = nil
	want.Found = &live
	return want, nil
}

// PlanAll keeps what was found, and finds out whether what is wanted can be made before anything is.
func (p *properties) PlanAll(ctx context.Context, items []state.Planned[Property]) error {
	var errs []error
	for i, it := range items {
		if it.Want == nil {
			continue
		}
		if it.Made != nil && it.Made.Thing() != it.Want.Thing() {
			errs = append(errs, fmt.Errorf("%s was made for %s and cannot become another one, as what that was before would be forgotten: give %s a block of another name", it.Addr, it.Made.place(), it.Want.place()))
			continue
		}
		if it.Made != nil && it.Made.Found != nil {
			found := *it.Made.Found
			found.SetWith = it.Want.SetWith
			want := *it.Want
			want.Found, items[i].Want = &found, &want
		}
		if it.Live != nil && equal(it.Live.Value, it.Want.Value) {
			continue
		}
		if err := p.check(ctx, *it.Want); err != nil {
			errs = append(errs, fmt.Errorf("%s: cannot set %s: %w", it.Addr, it.Want.place(), err))
		}
	}
	return errors.Join(errs...)
}

// check finds out whether a property can be what is wanted. What is not there yet, or does not tell about itself, is not checked.
func (p *properties) check(ctx context.Context, want Property) error {
	return p.known.with(ctx, want.Service, want.path(), func(o object, told bool) error {
		if !told {
			return nil
		}
		property, err := o.property(want.Interface, want.Property)
		if err != nil {
			return err
		}
		s, err := checked(property.Type)
		if err != nil {
			return fmt.Errorf("its type is none that can be sent: %w", err)
		}
		if _, err := encode(want.Value, s, nil); err != nil {
			return err
		}
		switch {
		case property.Access == "write":
			return errors.New("it can be written only, so that nobody can tell whether it is as wanted; a call block with unless can set it")
		case want.SetWith != nil:
			_, err := want.SetWith.encoded(o, want)
			return err
		case property.Access == "read":
			return errors.New("it can be read only; where a method sets it, set_with names that")
		}
		return nil
	})
}

func (p Property) path() dbus.ObjectPath { return dbus.ObjectPath(p.Path) }

// encoded are the arguments of the method, of the types that it takes.
func (s SetWith) encoded(o object, want Property) ([]any, error) {
	return o.arguments(s.face(want), s.Method, s.arguments(want.Value))
}

func (s SetWith) face(want Property) string {
	if s.Interface != "" {
		return s.Interface
	}
	return want.Interface
}

// Apply sets a property; what is no longer managed goes back to what it was. It looks at what is there first, so that it can be made
// again after a cut.
func (p *properties) Apply(ctx context.Context, before, after *Property) error {
	target := after
	if target == nil {
		if before == nil || before.Found == nil {
			return nil
		}
		target = before.Found
	}
	live, v, err := p.read(ctx, newReader(p.bus), *target)
	switch {
	case err != nil:
		return err
	case live != nil && equal(live.Value, target.Value):
		return nil
	case live == nil && after == nil: // it is gone, and with it what it was
		return nil
	}
	if err := p.set(ctx, *target, v); err != nil {
		return fmt.Errorf("cannot set %s: %w", target.place(), err)
	}
	return nil
}

// set sets a property, of which v is the value that it has; the zero one where it has none.
func (p *properties) set(ctx context.Context, target Property, v dbus.Variant) error {
	if w := target.SetWith; w != nil {
		var args []any
		err := p.known.with(ctx, target.Service, target.path(), func(o object, _ bool) (err error) {
			args, err = w.encoded(o, target)
			return err
		})
		if err != nil {
			return err
		}
		return p.bus.Call(ctx, sysbus.Call{Service: target.Service, Path: target.path(), Method: w.face(target) + "." + w.Method, Args: args})
	}
	s := signature(v.Signature().String())
	if s == "" {
		return fmt.Errorf("%s has no such property, or does not run", target.Service)
	}
	x, err := encode(target.Value, s, v.Value())
	if err != nil {
		return err
	}
	return p.bus.Set(ctx, target.Service, target.path(), target.Interface, target.Property, dbus.MakeVariantWithSignature(x, dbus.ParseSignatureMust(string(s))))
}
