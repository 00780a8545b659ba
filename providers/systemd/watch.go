package systemd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// unitsPath is what the paths of units are below.
const unitsPath = managerPath + "/unit"

// Watch hears of units from systemd, and from files of what systemd does not tell: unit files, and properties that somebody sets.
func (p *units) Watch(ctx context.Context, items []state.Item[Unit], tell func([]state.Addr, error)) error {
	names := make([]string, 0, len(items))
	all := make([]state.Addr, len(items))
	var paths []watch.Path
	for i, it := range items {
		all[i] = it.Addr
		if !isTemplate(it.Want.Name) { // which is never loaded
			names = append(names, it.Want.Name)
		}
		paths = append(paths, watch.Path{Addr: it.Addr, Path: pathOf(it.Want.Name)})
		for _, property := range slices.Sorted(maps.Keys(it.Want.Properties)) {
			paths = append(paths, watch.Path{Addr: it.Addr, Path: controlPath(it.Want.Name, property)})
		}
	}
	statuses, err := p.manager.statuses(ctx, unique(names))
	if err != nil {
		return fmt.Errorf("cannot watch units: %w", err)
	}
	// Signals name a unit by its path on the bus or by its name, which of an alias are those of what it stands for.
	named := make(map[string][]state.Addr, 2*len(items))
	for _, it := range items {
		if s, ok := statuses[it.Want.Name]; ok {
			named[string(s.Path)] = append(named[string(s.Path)], it.Addr)
			named[s.Name] = append(named[s.Name], it.Addr)
		}
	}
	return p.watch(ctx, named, all, paths, tell)
}

// Watch hears of both units of each timer.
func (p *timers) Watch(ctx context.Context, items []state.Item[Timer], tell func([]state.Addr, error)) error {
	var of []state.Item[Unit]
	for _, it := range items {
		for _, u := range managedOf(it.Want) {
			of = append(of, state.Item[Unit]{Addr: it.Addr, Want: u})
		}
	}
	return p.units.Watch(ctx, of, tell)
}

func (p *units) watch(ctx context.Context, of map[string][]state.Addr, all []state.Addr, paths []watch.Path, tell func([]state.Addr, error)) error {
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
				if addrs := of[string(s.Path)]; addrs != nil {
					tell(addrs, nil)
				}
			case s, open := <-manager.C:
				if !open {
					tell(nil, fmt.Errorf("cannot hear what happens to units: %w", manager.Err()))
					return
				}
				switch s.Name[strings.LastIndexByte(s.Name, '.')+1:] {
				case "UnitFilesChanged", "Reloading": // which systemd says no more of
					tell(all, nil)
				case "JobRemoved": // of a unit that is loaded and started in one go, nothing else is said
					if addrs := of[unitOf(s)]; addrs != nil {
						tell(addrs, nil)
					}
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

// unitOf is the name of the unit whose job JobRemoved is about.
func unitOf(s *dbus.Signal) (name string) {
	if len(s.Body) > 2 {
		name, _ = s.Body[2].(string)
	}
	return name
}
