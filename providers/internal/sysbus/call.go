package sysbus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"github.com/opdbus/opdbus/state"
)

// A Call is one call of a method.
type Call struct {
	Service string
	Path    dbus.ObjectPath
	Method  string // with its interface
	Args    []any
	Timeout time.Duration // 0: DefaultTimeout
	// NoAutoStart has the bus not start the service for this call. One that does not run is then an Error of name NameHasNoOwner, and
	// where that is because of the context (state.WithoutStarting) a state.NotRunningError as well.
	NoAutoStart bool
}

// Call makes a call, waits for the answer, and stores it into what results point to.
func (b *Bus) Call(ctx context.Context, c Call, results ...any) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	return conn.call(ctx, c, results...)
}

func (conn *connection) call(ctx context.Context, c Call, results ...any) error {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var flags dbus.Flags
	if c.NoAutoStart || !state.MayStart(ctx) {
		flags |= dbus.FlagNoAutoStart
	}
	answer := conn.Object(c.Service, c.Path).CallWithContext(within, c.Method, flags, c.Args...)
	if answer.Err != nil {
		return failed(ctx, conn, c, timeout, answer.Err)
	}
	if len(results) == 0 {
		return nil
	}
	if err := store(answer.Body, results); err != nil {
		return fmt.Errorf("%s answered %s with something else than it should: %w", c.Service, c.member(), err)
	}
	return nil
}

// store stores what came into what results point to. What is of the very type that is wanted is taken as it is: the library would make
// the variants in maps and lists anew, and forget that what they hold are structs.
func store(body, results []any) error {
	if len(body) != len(results) {
		return dbus.Store(body, results...)
	}
	for i, r := range results {
		to := reflect.ValueOf(r)
		if to.Kind() == reflect.Pointer && !to.IsNil() && to.Type().Elem() == reflect.TypeOf(body[i]) {
			to.Elem().Set(reflect.ValueOf(body[i]))
		} else if err := dbus.Store(body[i:i+1], r); err != nil {
			return err
		}
	}
	return nil
}

// member is the method's name without its interface.
func (c Call) member() string { return c.Method[strings.LastIndexByte(c.Method, '.')+1:] }

// failed says why a call came to nothing.
func failed(ctx context.Context, conn *connection, c Call, timeout time.Duration, err error) error {
	e := &Error{Service: c.Service, Path: c.Path, Method: c.member(), timeout: timeout, err: err}
	var answer dbus.Error
	switch {
	case errors.As(err, &answer):
		e.Name, e.Message = answer.Name, said(answer)
		if !state.MayStart(ctx) && (e.Name == NoOwner || e.Name == ServiceUnknown) {
			e.err = &state.NotRunningError{Service: c.Service, Startable: conn.starts(ctx, c.Service)}
		}
	case ctx.Err() != nil: // the caller's own end, which the caller knows of
		return fmt.Errorf("cannot wait for %s to answer %s: %w", c.Service, e.Method, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		e.Name = NoReply
	case conn.Context().Err() != nil:
		e.Name, e.Message = Disconnected, "the bus has gone"
	default:
		e.Message = err.Error()
	}
	return e
}

// starts says whether the bus can start a service, as far as that can be told.
func (conn *connection) starts(ctx context.Context, service string) bool {
	var names []string
	err := conn.call(ctx, Call{Service: busName, Path: busPath, Method: busCalls + "ListActivatableNames"}, &names)
	return err != nil || slices.Contains(names, service)
}

// said is what an answer says to people.
func said(answer dbus.Error) string {
	if len(answer.Body) > 0 {
		if text, ok := answer.Body[0].(string); ok {
			return text
		}
	}
	return ""
}

// Get reads one property.
func (b *Bus) Get(ctx context.Context, service string, path dbus.ObjectPath, iface, property string) (v dbus.Variant, err error) {
	err = b.Call(ctx, Call{Service: service, Path: path, Method: properties + "Get", Args: []any{iface, property}}, &v)
	return v, err
}

// GetAll reads all properties of an interface; of all interfaces where iface is empty and the service allows it.
func (b *Bus) GetAll(ctx context.Context, service string, path dbus.ObjectPath, iface string) (all map[string]dbus.Variant, err error) {
	err = b.Call(ctx, Call{Service: service, Path: path, Method: properties + "GetAll", Args: []any{iface}}, &all)
	return all, err
}

// Set writes one property.
func (b *Bus) Set(ctx context.Context, service string, path dbus.ObjectPath, iface, property string, value any) error {
	if _, is := value.(dbus.Variant); !is {
		value = dbus.MakeVariant(value)
	}
	return b.Call(ctx, Call{Service: service, Path: path, Method: properties + "Set", Args: []any{iface, property, value}})
}

const properties = "org.freedesktop.DBus.Properties."

// Introspect asks an object what it has.
func (b *Bus) Introspect(ctx context.Context, service string, path dbus.ObjectPath) (*introspect.Node, error) {
	return b.IntrospectWith(ctx, Call{Service: service, Path: path})
}

// IntrospectWith is Introspect with a call's timeout and flags.
func (b *Bus) IntrospectWith(ctx context.Context, c Call) (*introspect.Node, error) {
	c.Method = "org.freedesktop.DBus.Introspectable.Introspect"
	var xml string
	if err := b.Call(ctx, c, &xml); err != nil {
		return nil, err
	}
	node, err := parse(xml)
	if err != nil {
		return nil, fmt.Errorf("cannot read what %s says of its object %s: %w", c.Service, c.Path, err)
	}
	return node, nil
}

// Owner is the unique name of who has a name; empty when nobody has.
func (b *Bus) Owner(ctx context.Context, name string) (owner string, err error) {
	err = b.ask(ctx, "GetNameOwner", &owner, name)
	var e *Error
	if errors.As(err, &e) && e.Name == NoOwner {
		return "", nil
	}
	return owner, err
}

// Names are the names that somebody has now, unique ones included.
func (b *Bus) Names(ctx context.Context) (names []string, err error) {
	return names, b.ask(ctx, "ListNames", &names)
}

// Activatable are the names of the services that the bus can start.
func (b *Bus) Activatable(ctx context.Context) (names []string, err error) {
	return names, b.ask(ctx, "ListActivatableNames", &names)
}

// ID is the identity of the bus itself: unique names mean something only together with it.
func (b *Bus) ID(ctx context.Context) (id string, err error) {
	return id, b.ask(ctx, "GetId", &id)
}

func (b *Bus) ask(ctx context.Context, method string, result any, args ...any) error {
	return b.Call(ctx, Call{Service: busName, Path: busPath, Method: busCalls + method, Args: args}, result)
}
