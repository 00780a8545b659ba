package systemd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

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
	c := sysbus.Call{Service: service, Path: managerPath, Method: managerFace + "." + method, Args: args}
	switch method {
	case "Reload", "EnableUnitFiles", "DisableUnitFiles", "MaskUnitFiles", "UnmaskUnitFiles", "ListUnitFilesByPatterns":
		c.Timeout = fileTimeout
	}
	return m.bus.Call(ctx, c, results...)
}

// fileTimeout is how long a call may take that has systemd go through its unit files: with 10,000 of them, some 15 ms for each unit.
const fileTimeout = 3 * time.Minute

// A status is what ListUnits says of a unit.
type status struct {
	Name, Description, Load, Active, Sub, Follows string
	Path                                          dbus.ObjectPath
	Job                                           uint32
	JobType                                       string
	JobPath                                       dbus.ObjectPath
}

// down says that nothing of the unit runs, or is on its way to.
func (s status) down() bool { return s.Active == "inactive" || s.Active == "failed" || s.Active == "" }

// asWanted is whether the unit counts as active for who wants that, or not: one that is on the way is neither yet, also when the job that
// takes it there has not begun.
func (s status) asWanted(active bool) *bool {
	is := s.running() && s.JobType != "stop"
	if !active {
		is = !s.down() || s.Job != 0 && s.JobType != "stop"
	}
	return &is
}

// running is what counts as active: a unit that is only on its way there is not.
func (s status) running() bool {
	return s.Active == "active" || s.Active == "reloading" || s.Active == "refreshing"
}

// A fileStatus is what ListUnitFilesByPatterns says of a unit file.
type fileStatus struct{ Path, State string }

// statuses are what systemd says of units, which are loaded for that, by the names that were asked for: one call.
func (m manager) statuses(ctx context.Context, names []string) (map[string]status, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var answers []status
	if err := m.call(ctx, "ListUnitsByNames", []any{names}, &answers); err != nil {
		return nil, fmt.Errorf("cannot read units: %w", err)
	}
	if len(answers) != len(names) {
		return nil, fmt.Errorf("cannot read units: systemd was asked of %d and answers of %d", len(names), len(answers))
	}
	found := make(map[string]status, len(names))
	for i, s := range answers { // in the order of the names; an alias is answered with what it stands for
		found[names[i]] = s
	}
	return found, nil
}

// fileStates are the states of those unit files that are there, by name: one call.
func (m manager) fileStates(ctx context.Context, names []string) (map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var files []fileStatus
	// No character of a unit's name means anything else in a pattern: systemd has a backslash be one (FNM_NOESCAPE).
	if err := m.call(ctx, "ListUnitFilesByPatterns", []any{[]string{}, names}, &files); err != nil {
		return nil, fmt.Errorf("cannot read the states of unit files: %w", err)
	}
	states := make(map[string]string, len(files))
	for _, f := range files {
		states[path.Base(f.Path)] = f.State
	}
	return states, nil
}

// fileState is the state of the file that a unit comes from; empty where there is none.
func (m manager) fileState(ctx context.Context, unit string) (fileState string, err error) {
	err = m.call(ctx, "GetUnitFileState", []any{unit}, &fileState)
	var e *sysbus.Error
	if errors.As(err, &e) && (e.Name == "org.freedesktop.DBus.Error.FileNotFound" || e.Name == service+".NoSuchUnit") {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the state of the unit file of %s: %w", unit, err)
	}
	return fileState, nil
}

// object is a unit's path on the bus, which is loaded for that if it is not.
func (m manager) object(ctx context.Context, unit string) (object dbus.ObjectPath, err error) {
	if err := m.call(ctx, "LoadUnit", []any{unit}, &object); err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", unit, err)
	}
	return object, nil
}

// property reads a property of a unit.
func (m manager) property(ctx context.Context, path dbus.ObjectPath, iface, name string, into any) error {
	v, err := m.bus.Get(ctx, service, path, iface, name)
	if err != nil {
		return err
	}
	return v.Store(into)
}
