package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// unitsPath is what the paths of units are below.
const unitsPath = managerPath + "/unit"

// Watch hears of what happens to units: signals of their properties, that unit files changed, and what happens to the files.
func (p *units) Watch(ctx context.Context, items []state.Item[Unit], tell func([]state.Addr, error)) error {
	byPath := map[dbus.ObjectPath][]state.Addr{}
	var all []state.Addr
	var paths []watch.Path
	for _, it := range items {
		at := objectPath(it.Want.Name)
		byPath[at] = append(byPath[at], it.Addr)
		all = append(all, it.Addr)
		paths = append(paths, watch.Path{Addr: it.Addr, Path: pathOf(it.Want.Name)})
	}
	return p.watch(ctx, byPath, all, paths, tell)
}

// Watch hears of what happens to timers: to either of their units.
func (p *timers) Watch(ctx context.Context, items []state.Item[Timer], tell func([]state.Addr, error)) error {
	byPath := map[dbus.ObjectPath][]state.Addr{}
	var all []state.Addr
	var paths []watch.Path
	for _, it := range items {
		all = append(all, it.Addr)
		for _, suffix := range []string{".service", ".timer"} {
			at := objectPath(it.Want.Name + suffix)
			byPath[at] = append(byPath[at], it.Addr)
			paths = append(paths, watch.Path{Addr: it.Addr, Path: pathOf(it.Want.Name + suffix)})
		}
	}
	return p.watch(ctx, byPath, all, paths, tell)
}

func (p *units) watch(ctx context.Context, byPath map[dbus.ObjectPath][]state.Addr, all []state.Addr, paths []watch.Path, tell func([]state.Addr, error)) error {
	properties, err := p.manager.bus.Subscribe(ctx, sysbus.Match{Sender: service, PathBelow: unitsPath, Interface: "org.freedesktop.DBus.Properties", Member: "PropertiesChanged"})
	if err != nil {
		return err
	}
	manager, err := p.manager.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: managerPath, Interface: managerFace})
	if err != nil {
		properties.Close()
		return err
	}
	if err := p.manager.subscribe(ctx); err != nil {
		properties.Close()
		manager.Close()
		return err
	}
	named := make(chan []state.Addr)
	failed := make(chan error, 1)
	err = watch.Paths(ctx, p.files.fs.Root, paths, func(addrs []state.Addr, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
			return
		}
		select {
		case named <- addrs:
		case <-ctx.Done():
		}
	})
	if err != nil {
		properties.Close()
		manager.Close()
		return err
	}
	go func() {
		defer properties.Close()
		defer manager.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-failed:
				tell(nil, err)
				return
			case addrs := <-named:
				tell(addrs, nil)
			case s, open := <-properties.C:
				if !open {
					tell(nil, fmt.Errorf("cannot hear what happens to units: %w", properties.Err()))
					return
				}
				if addrs := byPath[s.Path]; addrs != nil {
					tell(addrs, nil)
				}
			case s, open := <-manager.C:
				if !open {
					tell(nil, fmt.Errorf("cannot hear what happens to units: %w", manager.Err()))
					return
				}
				switch s.Name[strings.LastIndexByte(s.Name, '.')+1:] {
				case "UnitFilesChanged", "Reloading":
					tell(all, nil)
				}
			}
		}
	}()
	return nil
}

// subscribe has systemd send its signals to us.
func (m manager) subscribe(ctx context.Context) error {
	err := m.call(ctx, "Subscribe", nil)
	var e *sysbus.Error
	if errors.As(err, &e) && e.Name == service+".AlreadySubscribed" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot listen to systemd: %w", err)
	}
	return nil
}

// objectPath is a unit's path on the bus (bus_label_escape): each byte that is no letter or digit, and a digit at the beginning, as _xx.
func objectPath(unit string) dbus.ObjectPath {
	var b strings.Builder
	b.WriteString(unitsPath + "/")
	for i := range len(unit) {
		c := unit[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return dbus.ObjectPath(b.String())
}
