package net

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/wireguard"
)

// A device in userspace is run by a transient unit of its own (systemd.unit(5)): it is there when opdbus has ended, and gone after a reboot,
// as other links are.
const (
	systemd     = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
)

func deviceUnit(name string) string {
	return "opdbus-wireguard-" + unit.UnitNameEscape(name) + ".service"
}

func (p *wireguards) manager(ctx context.Context, method string, args []any, results ...any) error {
	return p.bus.Call(ctx, sysbus.Call{Service: systemd, Path: systemdPath, Method: systemd + ".Manager." + method, Args: args}, results...)
}

type property struct {
	Name  string
	Value dbus.Variant
}

type execution struct {
	Path          string
	Args          []string
	IgnoreFailure bool
}

type auxiliary struct {
	Name       string
	Properties []property
}

// start has a device come up, and waits for it.
func (p *wireguards) start(ctx context.Context, name string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := wireguard.Arguments{Name: name, Unfinished: unfinished(name), Alias: mark}
	properties := []property{
		{"Description", dbus.MakeVariant("WireGuard interface " + name + " of opdbus")},
		{"Type", dbus.MakeVariant("notify")},
		{"ExecStart", dbus.MakeVariant([]execution{{self, append([]string{self}, args.List()...), false}})},
		{"NoNewPrivileges", dbus.MakeVariant(true)},
		{"CapabilityBoundingSet", dbus.MakeVariant(uint64(1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_BIND_SERVICE))},
		{"TimeoutStartUSec", dbus.MakeVariant(uint64(patience / time.Microsecond))},
	}
	_ = p.manager(ctx, "ResetFailedUnit", []any{deviceUnit(name)}) // of a former one; there mostly is none
	if err := p.manager(ctx, "StartTransientUnit", []any{deviceUnit(name), "replace", properties, []auxiliary{}}, new(dbus.ObjectPath)); err != nil {
		return fmt.Errorf("cannot start %s: %w", deviceUnit(name), err)
	}
	s, err := p.settled(ctx, name)
	if err == nil && s.active != "active" {
		err = fmt.Errorf("%s has ended: %s", deviceUnit(name), s.why)
		_ = p.manager(ctx, "ResetFailedUnit", []any{deviceUnit(name)})
	}
	return err
}

// stop ends a device. Where no link says that there is one, somebody may have cut off what began to make it.
func (p *wireguards) stop(ctx context.Context, name string, is bool) error {
	err := p.manager(ctx, "StopUnit", []any{deviceUnit(name), "replace"}, new(dbus.ObjectPath))
	var e *sysbus.Error
	switch {
	case err == nil:
	case errors.As(err, &e) && e.Name == systemd+".NoSuchUnit":
		return nil
	case !is && !errors.As(err, &e): // no bus, and therefore nothing that was started over it
		return nil
	default:
		return fmt.Errorf("cannot stop %s: %w", deviceUnit(name), err)
	}
	if _, err := p.settled(ctx, name); err != nil {
		return err
	}
	_ = p.manager(ctx, "ResetFailedUnit", []any{deviceUnit(name)})
	return nil
}

// A status is what systemd says of a device's unit.
type status struct {
	active, why string
	job         job
}

// A job is what systemd is about to do with a unit; number 0 for nothing.
type job struct {
	Number uint32
	Path   dbus.ObjectPath
}

// settled waits until a unit is neither on its way up nor down.
func (p *wireguards) settled(ctx context.Context, name string) (s status, err error) {
	end := time.Now().Add(2 * patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if s, err = p.status(ctx, name); err != nil || s.job.Number == 0 && s.active != "activating" && s.active != "deactivating" {
			return s, err
		}
		if time.Now().After(end) {
			return s, fmt.Errorf("%s is %s for more than %s", deviceUnit(name), s.active, 2*patience)
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (p *wireguards) status(ctx context.Context, name string) (s status, err error) {
	var path dbus.ObjectPath
	err = p.manager(ctx, "GetUnit", []any{deviceUnit(name)}, &path)
	var e *sysbus.Error
	if errors.As(err, &e) && e.Name == systemd+".NoSuchUnit" {
		return status{active: "inactive", why: "systemd does not know of it any more"}, nil
	}
	if err != nil {
		return s, err
	}
	// The job first: when there is none, the state is the one that it has led to.
	for _, of := range []struct {
		face, name string
		into       any
	}{{".Unit", "Job", &s.job}, {".Unit", "ActiveState", &s.active}, {".Service", "StatusText", &s.why}} {
		v, err := p.bus.Get(ctx, systemd, path, systemd+of.face, of.name)
		if errors.As(err, &e) && e.Absent() {
			return status{active: "inactive", why: "systemd does not know of it any more"}, nil
		}
		if err == nil {
			err = v.Store(of.into)
		}
		if err != nil {
			return s, err
		}
	}
	if s.why == "" {
		s.why = "journalctl -u " + deviceUnit(name) + " may say why"
	}
	return s, nil
}
