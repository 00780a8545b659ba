package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) pluginCommand() *cobra.Command {
	c := &cobra.Command{Use: "plugin", Short: "The services that plugins look after"}
	c.AddCommand(a.discoverCommand())
	return c
}

// discoverFlags are discover's.
type discoverFlags struct{ write, activate, json bool }

func (a *app) discoverCommand() *cobra.Command {
	var f discoverFlags
	c := &cobra.Command{
		Use:   "discover [SERVICE]...",
		Short: "Find out what services there are on the bus, and what they offer",
		Long: `Lists the services on the system bus, those that run and those that the bus can start, with what they offer: of each, up to 1,000
objects and 10 seconds. It starts none, unless --activate says so, and changes nothing, unless --write does: then each service is
registered as a plugin, with the provider dbus, and opdbus query --plugin SERVICE shows what it has. What is registered already stays.`,
		RunE: func(c *cobra.Command, args []string) error { return a.discover(c.Context(), args, f) },
	}
	c.Flags().BoolVar(&f.write, "write", false, "register each service, in a file of the registry")
	c.Flags().BoolVar(&f.activate, "activate", false, "start the services that do not run")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON, with all that the services offer")
	return c
}

func (a *app) discover(ctx context.Context, names []string, f discoverFlags) error {
	if f.write {
		if err := privileged("plugin discover --write"); err != nil {
			return err
		}
	}
	r, err := a.reconciler(nil)
	if err != nil {
		return err
	}
	discoverer, err := discovererOf(r)
	if err != nil {
		return err
	}
	look := state.Look{Activate: f.activate}
	if len(names) > 0 {
		look.Services = names
	}
	services, err := discoverer.Discover(ctx, look)
	if err != nil {
		return err
	}
	var done registered
	if f.write {
		if done, err = registerServices(ctx, r, services); err != nil {
			return err
		}
	}
	if f.json {
		return a.printJSON(struct {
			Services []state.Service `json:"services"`
			registered
		}{append([]state.Service{}, services...), done})
	}
	return a.showServices(r, services, f, done)
}

// discovererOf is who finds services; an error where none are spoken to.
func discovererOf(r *reconciler.Reconciler) (state.Discoverer, error) {
	d := r.Kinds.Discoverer()
	switch {
	case r.Host.Root != "":
		return nil, errors.New("with --root no service is spoken to; leave it out to find those of this host")
	case d == nil:
		return nil, errors.New("this version of opdbus finds no services")
	}
	return d, nil
}

func (a *app) showServices(r *reconciler.Reconciler, services []state.Service, f discoverFlags, done registered) error {
	var table [][]string
	for _, s := range services {
		objects, interfaces := "-", "-"
		if s.Running {
			objects, interfaces = strconv.Itoa(len(s.Objects)), strconv.Itoa(s.Interfaces())
		}
		table = append(table, []string{s.Name, serviceState(s), or(s.Owner, "-"), objects, interfaces})
	}
	if err := render.Table(a.out, []string{"SERVICE", "STATE", "OWNER", "OBJECTS", "INTERFACES"}, table); err != nil {
		return err
	}
	for _, s := range services {
		if s.Problem != "" {
			fmt.Fprintf(a.err, "%s: %s\n", s.Name, render.Clean(s.Problem))
		}
	}
	if !f.write {
		return nil
	}
	fmt.Fprintf(a.out, "\nRegistered %s in %s.\n", render.Count(len(done.Registered), "service"), r.Host.Registry)
	for _, l := range done.Left {
		fmt.Fprintf(a.out, "Left %s: %s\n", l.Name, l.Why)
	}
	return nil
}

// serviceState is how a service is there, in a word.
func serviceState(s state.Service) string {
	switch {
	case s.Running && s.Activatable:
		return "running, activatable"
	case s.Running:
		return "running"
	case s.Activatable:
		return "activatable"
	}
	return "not there"
}

// registered is what became of registering services.
type registered struct {
	Registered []string      `json:"registered,omitempty"`
	Left       []leftService `json:"left,omitempty"`
}

// A leftService was not registered.
type leftService struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// registerServices registers services that are there as plugins with the provider dbus: none that is registered already, in whatever way,
// and none under the name of a plugin that has a provider of its own.
func registerServices(ctx context.Context, r *reconciler.Reconciler, services []state.Service) (done registered, err error) {
	node := state.NodeAddr{Type: state.PluginNode, Name: "dbus"}
	kind := r.Kinds.For(state.Addr{Node: node, Kind: "registration"})
	site := state.Site{Node: node}
	var changes []state.Change
	for _, s := range services {
		addr := state.Addr{Node: node, Kind: "registration", Key: s.Name}
		switch {
		case s.Reserved || len(r.Kinds.Of(s.Name)) > 0:
			done.Left = append(done.Left, leftService{s.Name, "a plugin of that name has a provider of its own"})
			continue
		case !s.Running && !s.Activatable:
			done.Left = append(done.Left, leftService{s.Name, "it is not there"})
			continue
		}
		want, err := registrationOf(kind, s.Name)
		if err != nil {
			return done, err
		}
		lives, err := kind.Read(ctx, []state.Addr{addr}, []state.Object{want})
		if err != nil {
			return done, err
		}
		if lives[0] != nil {
			done.Left = append(done.Left, leftService{s.Name, "it is registered already"})
			continue
		}
		// One after the other, as the first may make the directory that the others are in.
		planned := []state.PlannedObject{{Addr: addr, Want: want}}
		if err := kind.Plan(ctx, planned); err != nil {
			return done, err
		}
		c := state.Change{Addr: addr, After: planned[0].Want}
		if err := kind.Apply(ctx, site, []state.Change{c}); err != nil {
			return done, err
		}
		changes, done.Registered = append(changes, c), append(done.Registered, s.Name)
	}
	return done, kind.Sync(ctx, site, changes)
}

// registrationOf is the registration of a service. Only its provider knows the type, which reads it as the ledger has it.
func registrationOf(kind *state.Kind, name string) (state.Object, error) {
	data, err := json.Marshal(map[string]any{"name": name, "provider": "dbus", "query": true})
	if err != nil {
		return nil, err
	}
	return kind.Decode(data)
}
