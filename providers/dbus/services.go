package dbus

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// services is what the bus has. They are looked at only.
type services struct {
	bus   *sysbus.Bus
	known *index
}

// Live says that services run, for state.Live.
func (*services) Live() {}

// Read looks whether there is a service.
func (s *services) Read(ctx context.Context, want state.Service) (*state.Service, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(of state.Service) bool { return of.Name == want.Name }); i >= 0 {
		return &all[i], nil
	}
	return nil, nil
}

// Apply refuses.
func (*services) Apply(context.Context, *state.Service, *state.Service) error {
	return errors.New("the services on the bus are looked at only")
}

// List is the services on the bus: those that run, and those that can be started. It starts none.
func (s *services) List(ctx context.Context) ([]state.Service, error) {
	running, err := s.bus.Names(ctx)
	if err != nil {
		return nil, err
	}
	activatable, err := s.bus.Activatable(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]state.Service{}
	for _, name := range running {
		if strings.HasPrefix(name, ":") { // a client's, whether it offers anything or not
			continue
		}
		owner, err := s.bus.Owner(ctx, name)
		if err != nil {
			return nil, err
		}
		if owner != "" {
			byName[name] = state.Service{Name: name, Running: true, Owner: owner}
		}
	}
	for _, name := range activatable {
		of := byName[name]
		of.Name, of.Activatable = name, true
		byName[name] = of
	}
	all := make([]state.Service, 0, len(byName))
	for _, of := range byName {
		of.Reserved = slices.Contains(plugin.Builtin(), of.Name)
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b state.Service) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Discover looks at services side by side, within discoveryTime in all.
func (s *services) Discover(ctx context.Context, look state.Look) ([]state.Service, error) {
	all, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	if look.Services != nil {
		var these []state.Service
		for _, name := range look.Services {
			i := slices.IndexFunc(all, func(of state.Service) bool { return of.Name == name })
			if i < 0 {
				these = append(these, state.Service{Name: name, Problem: "it neither runs nor can be started by the bus: the service is not installed, or its name is another one"})
				continue
			}
			these = append(these, all[i])
		}
		all = these
	}
	within, cancel := context.WithTimeout(ctx, discoveryTime)
	defer cancel()
	var wg sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				s.explore(within, &all[i], look)
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.known.save(ctx)
	return all, nil
}

// explore finds out what one service offers.
func (s *services) explore(ctx context.Context, of *state.Service, look state.Look) {
	if !of.Running && of.Activatable && look.Activate {
		if err := s.start(ctx, of.Name); err != nil {
			of.Problem = "it cannot be started: " + err.Error()
			return
		}
	}
	// An owner that goes in the middle takes what it has told with it: the next one is asked anew.
	for range 2 {
		owner, err := s.bus.Owner(ctx, of.Name)
		if err != nil {
			of.Problem = err.Error()
			return
		}
		of.Running, of.Owner, of.Objects = owner != "", owner, nil
		if owner == "" {
			return
		}
		w := newWalk(s, of.Name, owner)
		w.all(ctx, look)
		of.Objects, of.Problem = w.found(), strings.Join(w.problems, "; ")
		if after, err := s.bus.Owner(ctx, of.Name); err == nil && after == owner {
			return
		}
		of.Problem = "its owner has changed while it was looked at"
	}
}

// start has the bus start a service.
func (s *services) start(ctx context.Context, name string) error {
	return s.bus.Call(ctx, sysbus.Call{Service: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Method: "org.freedesktop.DBus.StartServiceByName",
		Args: []any{name, uint32(0)}})
}
