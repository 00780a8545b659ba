package dbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// calls is the provider of calls. A call is there when its condition holds.
type calls struct {
	bus   *sysbus.Bus
	known *index
}

// Live says that calls are made of running services, for state.Live.
func (*calls) Live() {}

// Read says whether one call need not be made.
func (c *calls) Read(ctx context.Context, want Call) (*Call, error) {
	return c.read(ctx, newReader(c.bus), want)
}

// ReadAll reads the conditions of all calls, those on one interface of an object by one call.
func (c *calls) ReadAll(ctx context.Context, items []state.Item[Call]) ([]*Call, error) {
	r := newReader(c.bus)
	lives := make([]*Call, len(items))
	var errs []error
	said := map[string]bool{}
	for i, it := range items {
		live, err := c.read(ctx, r, it.Want)
		if err != nil && !said[it.Want.Service] {
			errs, said[it.Want.Service] = append(errs, err), true
		}
		lives[i] = live
	}
	return lives, errors.Join(errs...)
}

func (c *calls) read(ctx context.Context, r *reader, want Call) (*Call, error) {
	cond, wrong := want.condition()
	if wrong != "" {
		return nil, errors.New(wrong)
	}
	v, ok, err := r.get(ctx, cond.place)
	if err != nil || !ok {
		return nil, err
	}
	live, err := asWanted(cond.equals, v)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", cond.place, err)
	}
	if !equal(live, cond.equals) {
		return nil, nil
	}
	return &want, nil
}

// Owns says that nothing a call has brought about is opdbus' own: it is not taken back when the call is no longer declared.
func (*calls) Owns(*Call, Call) bool { return false }

// Claim takes a condition that holds as it is.
func (*calls) Claim(want, _ Call) (Call, error) { return want, nil }

// PlanAll finds out whether the calls that are to be made can be made. What is not there yet, or does not tell about itself, is not checked.
func (c *calls) PlanAll(ctx context.Context, items []state.Planned[Call]) error {
	var errs []error
	for _, it := range items {
		if it.Want == nil || it.Live != nil {
			continue
		}
		if err := c.check(ctx, *it.Want); err != nil {
			errs = append(errs, fmt.Errorf("%s: cannot call %s: %w", it.Addr, it.Want.method(), err))
		}
	}
	return errors.Join(errs...)
}

func (c Call) method() string {
	return fmt.Sprintf("%s.%s of %s at %s", c.Interface, c.Method, c.Service, c.Path)
}

func (c *calls) check(ctx context.Context, want Call) error {
	cond, _ := want.condition()
	err := c.known.with(ctx, cond.service, cond.path, func(o object, told bool) error {
		if !told {
			return nil
		}
		property, err := o.property(cond.iface, cond.property)
		if err != nil {
			return fmt.Errorf("unless: %w", err)
		}
		s, err := checked(property.Type)
		if err == nil {
			_, err = encode(cond.equals, s, nil)
		}
		switch {
		case err != nil:
			return fmt.Errorf("unless: the %s cannot equal that: %w", cond.place, err)
		case property.Access == "write":
			return fmt.Errorf("unless: the %s can be written only, so that nobody can tell whether it holds", cond.place)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.arguments(ctx, want, false)
	return err
}

// arguments are those of a call, of the types that its method takes; of an object that does not tell about itself, those that suit them,
// if they are to be had anyhow.
func (c *calls) arguments(ctx context.Context, want Call, anyhow bool) (args []any, err error) {
	err = c.known.with(ctx, want.Service, dbus.ObjectPath(want.Path), func(o object, told bool) (err error) {
		if told || anyhow {
			args, err = o.arguments(want.Interface, want.Method, want.list())
		}
		return err
	})
	return args, err
}

func (c Call) list() []any {
	list, _ := c.Args.([]any)
	return list
}

// Apply calls the method, unless its condition holds by now. What a call did is not taken back.
func (c *calls) Apply(ctx context.Context, _, after *Call) error {
	if after == nil {
		return nil
	}
	live, err := c.Read(ctx, *after)
	if err != nil || live != nil {
		return err
	}
	if err := c.call(ctx, *after); err != nil {
		return fmt.Errorf("cannot call %s: %w", after.method(), err)
	}
	return nil
}

func (c *calls) call(ctx context.Context, want Call) error {
	args, err := c.arguments(ctx, want, true)
	if err != nil {
		return err
	}
	return c.bus.Call(ctx, sysbus.Call{Service: want.Service, Path: dbus.ObjectPath(want.Path), Method: want.Interface + "." + want.Method, Args: args})
}

// Disturbs says what is called.
func (*calls) Disturbs(before, after *Call) []string {
	if before != nil || after == nil {
		return nil
	}
	return []string{"calls " + after.Interface + "." + after.Method + " of " + after.Service}
}

// Irreversible says of a call that is to be made that it is.
func (*calls) Irreversible(before, after *Call) string {
	if before != nil || after == nil {
		return ""
	}
	return "what a call of " + after.Method + " does cannot be taken back"
}

// Explain says what became of the condition once the method has been called, and not its value, which may be a secret.
func (c *calls) Explain(ctx context.Context, want Call, live *Call) string {
	cond, wrong := want.condition()
	if live != nil || wrong != "" {
		return ""
	}
	if _, ok, err := newReader(c.bus).get(ctx, cond.place); err != nil || !ok {
		return fmt.Sprintf("%s was called, and its unless does not hold: the %s is not there", want.Method, cond.place)
	}
	return fmt.Sprintf("%s was called, and its unless does not hold: the %s has another value", want.Method, cond.place)
}
