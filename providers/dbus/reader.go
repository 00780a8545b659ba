package dbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

// A reader reads properties, those of one interface of an object by one call. One is for one read of many: it keeps what it has read.
type reader struct {
	bus    *sysbus.Bus
	read   map[place]map[string]dbus.Variant // by place without the property
	failed map[string]error                  // by service: one that did not answer is not asked again
}

func newReader(bus *sysbus.Bus) *reader {
	return &reader{bus, map[place]map[string]dbus.Variant{}, map[string]error{}}
}

// get reads a property; ok is false where there is none: its service, object or interface is not there, or it cannot be read. A service
// that does not run is started, if the bus can do that.
func (r *reader) get(ctx context.Context, p place) (v dbus.Variant, ok bool, err error) {
	if err := r.failed[p.service]; err != nil {
		return v, false, err
	}
	v, ok, err = r.ask(ctx, p)
	if err != nil {
		err = fmt.Errorf("cannot read %s: %w", p, err)
		r.failed[p.service] = err
	}
	return v, ok, err
}

func (r *reader) ask(ctx context.Context, p place) (v dbus.Variant, ok bool, err error) {
	of := p
	of.property = ""
	all, read := r.read[of]
	if !read {
		all, err = r.bus.GetAll(ctx, p.service, p.path, p.iface)
		if err != nil && !isAbsent(err) {
			return v, false, err
		}
		r.read[of] = all
	}
	if v, ok = all[p.property]; ok || all == nil {
		return v, ok, nil
	}
	// Properties that are costly to read are left out of that, as are those that can be written only.
	v, err = r.bus.Get(ctx, p.service, p.path, p.iface, p.property)
	if err != nil {
		if says(err) {
			err = nil
		}
		return dbus.Variant{}, false, err
	}
	return v, true, nil
}

// isAbsent says of an error that what was asked is not there. What GLib's services say of an interface that they do not have is
// that the argument is invalid.
func isAbsent(err error) bool {
	var e *sysbus.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Name {
	case sysbus.ServiceUnknown, sysbus.NoOwner, sysbus.InvalidArgs, "org.freedesktop.systemd1.NoSuchUnit":
		return true
	}
	return e.Absent()
}

// says tells whether it was the service that answered with an error, rather than nobody.
func says(err error) bool {
	var e *sysbus.Error
	return errors.As(err, &e) && e.Name != "" && e.Name != sysbus.NoReply && e.Name != sysbus.Disconnected
}
