package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

// liveTable prints a plugin's live objects, one on a line.
func (a *app) liveTable(live map[string][]state.Object) error {
	var table [][]string
	for _, kind := range slices.Sorted(maps.Keys(live)) {
		for _, o := range live[kind] {
			attrs, err := state.Attributes(o, nil, nil)
			if err != nil {
				return err
			}
			var values []string
			for _, at := range attrs {
				if value := string(at.Value); at.Name != "name" && value != strconv.Quote(o.Key()) && value != "null" {
					values = append(values, at.Name+" "+shorten(value, 60))
				}
			}
			table = append(table, []string{kind, o.Key(), strings.Join(values, ", ")})
		}
	}
	if len(table) == 0 {
		fmt.Fprintln(a.err, "Nothing is there of what the plugin looks after.")
		return nil
	}
	return render.Table(a.out, []string{"KIND", "KEY", "ATTRIBUTES"}, table)
}

// shorten cuts a value that is longer than n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// queryLive looks at what is live of plugins. What cannot be told of one keeps nothing from the others.
func (a *app) queryLive(ctx context.Context, r *reconciler.Reconciler, rows []queried, look state.Look) error {
	asked := ctx
	if !look.Activate {
		asked = state.WithoutStarting(ctx)
	}
	for i := range rows {
		row := &rows[i]
		kinds := r.Kinds.Of(row.Name)
		if row.provider == "dbus" && len(kinds) == 0 && strings.Contains(row.Name, ".") && r.Host.Root == "" {
			look.Services = append(look.Services, row.Name)
			continue
		}
		var stopped *state.NotRunningError
		if row.Live, row.err = a.live(asked, r.Host.Root, kinds); errors.As(row.err, &stopped) {
			row.NotRunning, row.startable, row.err = stopped.Service, stopped.Startable, nil
		} else if row.err != nil {
			row.err = fmt.Errorf("cannot tell what is live of plugin %s: %w", row.Name, row.err)
		}
	}
	if ctx.Err() != nil || len(look.Services) == 0 {
		return ctx.Err()
	}
	discoverer, err := discovererOf(r)
	if err != nil {
		return err
	}
	services, err := discoverer.Discover(ctx, look)
	if err != nil {
		return err
	}
	for _, s := range services {
		i := slices.IndexFunc(rows, func(q queried) bool { return q.Name == s.Name })
		objects := make([]state.Object, len(s.Objects))
		for j, o := range s.Objects {
			objects[j] = o
		}
		s.Objects = nil
		rows[i].Service, rows[i].Live = &s, map[string][]state.Object{"object": objects}
	}
	return nil
}

// serviceTable prints the objects of a service with their properties, one on a line.
func (a *app) serviceTable(q queried) error {
	switch s := q.Service; {
	case s.Problem != "":
		fmt.Fprintf(a.err, "%s: %s\n", s.Name, render.Clean(s.Problem))
	case !s.Running:
		fmt.Fprintf(a.err, "%s does not run; --activate starts it.\n", s.Name)
		return nil
	}
	var table [][]string
	for _, o := range q.Live["object"] {
		object, _ := o.(state.ServiceObject)
		for _, i := range object.Interfaces {
			if len(i.Properties) == 0 {
				table = append(table, []string{object.Path, i.Name, "-", "-", "-", "-"})
			}
			for _, p := range i.Properties {
				value := "-"
				if p.Value != nil {
					data, err := json.Marshal(p.Value)
					if err != nil {
						return err
					}
					value = shorten(string(data), 60)
				}
				table = append(table, []string{object.Path, i.Name, p.Name, p.Type, p.Access, value})
			}
		}
	}
	return render.Table(a.out, []string{"OBJECT", "INTERFACE", "PROPERTY", "TYPE", "ACCESS", "VALUE"}, table)
}

// live lists the live objects of a plugin's kinds; nil when this version has none that can tell.
func (a *app) live(ctx context.Context, root string, kinds state.Kinds) (map[string][]state.Object, error) {
	var live map[string][]state.Object
	for _, k := range kinds {
		if k.Live && root != "" { // no service is spoken to
			continue
		}
		objects, ok, err := k.List(ctx)
		if err != nil {
			return nil, err
		}
		if ok {
			if live == nil {
				live = map[string][]state.Object{}
			}
			live[k.Name] = objects
		}
	}
	return live, nil
}

// stopped says why nothing is told of what is live, and what to do about it.
func (q queried) stopped() string {
	if !q.startable {
		return q.NotRunning + " does not run, and the bus knows nothing that starts it: it may not be installed."
	}
	return q.NotRunning + " does not run; --activate starts it."
}

// text is a plugin's live state in a few words.
func (q queried) text() string {
	switch {
	case q.err != nil:
		return "cannot tell"
	case q.NotRunning != "":
		return q.NotRunning + " does not run"
	case q.Service != nil && !q.Service.Running:
		return serviceState(*q.Service)
	case q.Live == nil:
		return "this version has no provider for it"
	}
	n := 0
	for _, objects := range q.Live {
		n += len(objects)
	}
	return render.Count(n, "object")
}
