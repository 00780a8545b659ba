package systemd

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

const (
	service     = "org.freedesktop.systemd1"
	managerPath = "/org/freedesktop/systemd1"
	managerFace = service + ".Manager"
	unitFace    = service + ".Unit"
	serviceFace = service + ".Service"
)

// manager is systemd itself.
type manager struct{ bus *sysbus.Bus }

func (m manager) call(ctx context.Context, method string, args []any, results ...any) error {
	return m.bus.Call(ctx, sysbus.Call{Service: service, Path: managerPath, Method: managerFace + "." + method, Args: args}, results...)
}

// A status is what ListUnits says of a unit.
type status struct {
	Name, Description, Load, Active, Sub, Follows string
	Path                                          dbus.ObjectPath
	Job                                           uint32
	JobType                                       string
	JobPath                                       dbus.ObjectPath
}

// running is what counts as active: a unit that is only on its way there is not.
func (s status) running() bool {
	return s.Active == "active" || s.Active == "reloading" || s.Active == "refreshing"
}

// A fileStatus is what ListUnitFilesByPatterns says of a unit file.
type fileStatus struct{ Path, State string }

// An installation is what enabling, disabling and masking have changed.
type installation struct{ Type, Link, Destination string }

// object is a unit's path on the bus, which is loaded for that if it is not.
func (m manager) object(ctx context.Context, unit string) (path dbus.ObjectPath, err error) {
	if err := m.call(ctx, "LoadUnit", []any{unit}, &path); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", unit, err)
	}
	return path, nil
}

// property reads a property of a unit.
func (m manager) property(ctx context.Context, path dbus.ObjectPath, iface, name string, into any) error {
	v, err := m.bus.Get(ctx, service, path, iface, name)
	if err != nil {
		return err
	}
	return v.Store(into)
}
