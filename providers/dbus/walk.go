package dbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// The bounds of discovery. What is beyond them is left out, and said to be.
const (
	maxObjects    = 1000             // of a service, those nearest to its root first
	maxDepth      = 16               // elements of a path
	askTimeout    = 5 * time.Second  // for one answer
	serviceTime   = 10 * time.Second // for a service
	discoveryTime = 2 * time.Minute  // for all
	atOnce        = 4                // services
)

// A walk goes through the objects of one owner of a service, from the root down.
type walk struct {
	*services
	name, owner string
	objects     map[dbus.ObjectPath]object
	faces       map[string]state.ServiceInterface // those that have been told of, by name
	values      map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	queue       []dbus.ObjectPath
	seen        map[dbus.ObjectPath]bool
	problems    []string
}

func newWalk(s *services, name, owner string) *walk {
	return &walk{services: s, name: name, owner: owner, objects: map[dbus.ObjectPath]object{}, faces: map[string]state.ServiceInterface{},
		values: map[dbus.ObjectPath]map[string]map[string]dbus.Variant{}, seen: map[dbus.ObjectPath]bool{}}
}

// errStop ends a walk of which a problem says why it is not complete.
var errStop = errors.New("the walk ends")

func (w *walk) problem(format string, args ...any) {
	const most = 3
	if len(w.problems) < most {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

// all goes through the objects, and reads their properties where they are looked at closely.
func (w *walk) all(ctx context.Context, look state.Look) {
	ctx, cancel := context.WithTimeout(ctx, serviceTime)
	defer cancel()
	w.add("/")
	for len(w.queue) > 0 {
		at := w.queue[0]
		w.queue = w.queue[1:]
		if err := w.visit(ctx, at); err != nil {
			return
		}
	}
	if len(w.problems) == 0 {
		w.known.keep(w.name, w.seen)
	}
	if look.Values {
		w.read(ctx)
	}
}

// add has an object be visited, unless it is too deep or one too many.
func (w *walk) add(at dbus.ObjectPath) {
	switch {
	case w.seen[at] || !at.IsValid():
	case len(w.seen) == maxObjects:
		w.problem("it has more than %d objects, and the others are left out", maxObjects)
	case strings.Count(string(at), "/") > maxDepth:
		w.problem("it has objects below %s, which are left out", at[:strings.LastIndexByte(string(at), '/')])
	default:
		w.seen[at] = true
		w.queue = append(w.queue, at)
	}
}

// visit introspects an object. One without children is not asked again as long as its owner is the same; one with children may have
// others by now.
func (w *walk) visit(ctx context.Context, at dbus.ObjectPath) error {
	o, ok := w.known.get(ctx, w.name, w.owner, at)
	if !ok || len(o.Children) > 0 || at == "/" {
		var err error
		if o, err = w.known.ask(ctx, w.name, w.owner, at); err != nil {
			return w.failed(ctx, at, err)
		}
	}
	w.objects[at] = o
	for _, i := range o.Interfaces {
		w.faces[i.Name] = i
	}
	if _, manages := o.face(objectManager); manages {
		if err := w.managed(ctx, at); err != nil {
			return err
		}
	}
	for _, name := range o.Children {
		w.add(dbus.ObjectPath(strings.TrimSuffix(string(at), "/") + "/" + name))
	}
	return nil
}

// failed says what an error means for the rest of the walk.
func (w *walk) failed(ctx context.Context, at dbus.ObjectPath, err error) error {
	var e *sysbus.Error
	switch {
	case ctx.Err() != nil:
		w.problem("not all of it was looked at within %s", serviceTime)
		return errStop
	case isAbsent(err) && at != "/": // it has gone since its parent told of it, or does not tell about itself
		return nil
	case errors.As(err, &e) && says(err) && !isAbsent(err):
		w.problem("%s is not told of: %s", at, err)
		return nil
	}
	w.problem("%s", err)
	return errStop
}

// managed adds the objects that an ObjectManager tells of, with their properties. Those whose interfaces are known all are not asked.
func (w *walk) managed(ctx context.Context, at dbus.ObjectPath) error {
	var all map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	err := w.bus.Call(ctx, sysbus.Call{Service: w.owner, Path: at, Method: objectManager + ".GetManagedObjects", Timeout: askTimeout, NoAutoStart: true}, &all)
	if err != nil {
		return w.failed(ctx, at, as(w.name, err))
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		w.values[path] = all[path]
		if w.seen[path] || len(w.seen) >= maxObjects {
			w.add(path)
			continue
		}
		o := object{service: w.name, path: path}
		for _, name := range slices.Sorted(maps.Keys(all[path])) {
			if face, told := w.faces[name]; told && len(face.Properties) >= len(all[path][name]) {
				o.Interfaces = append(o.Interfaces, face)
			}
		}
		if len(o.Interfaces) < len(all[path]) {
			if err := w.early(ctx, path); err != nil {
				return err
			}
			continue
		}
		w.seen[path], w.objects[path] = true, o
	}
	return nil
}

// early visits an object of a manager before its turn, so that others of its kind need not be asked.
func (w *walk) early(ctx context.Context, path dbus.ObjectPath) error {
	w.seen[path] = true
	return w.visit(ctx, path)
}

// read reads the properties of all objects, those of an interface by one call, but for those that a manager has told already.
func (w *walk) read(ctx context.Context) {
	for _, at := range slices.Sorted(maps.Keys(w.objects)) {
		for _, face := range w.objects[at].Interfaces {
			readable := slices.ContainsFunc(face.Properties, func(p state.ServiceProperty) bool { return p.Access != "write" })
			if _, have := w.values[at][face.Name]; have || !readable {
				continue
			}
			var all map[string]dbus.Variant
			err := w.bus.Call(ctx, sysbus.Call{Service: w.owner, Path: at, Method: "org.freedesktop.DBus.Properties.GetAll", Args: []any{face.Name}, Timeout: askTimeout, NoAutoStart: true}, &all)
			if err != nil {
				if w.failed(ctx, at, as(w.name, err)) != nil {
					return
				}
				continue
			}
			if w.values[at] == nil {
				w.values[at] = map[string]map[string]dbus.Variant{}
			}
			w.values[at][face.Name] = all
		}
	}
}

// found are the objects that have an interface of their own, in the order of their paths.
func (w *walk) found() []state.ServiceObject {
	var all []state.ServiceObject
	for at, o := range w.objects {
		of := state.ServiceObject{Path: string(at)}
		for _, face := range o.Interfaces {
			if slices.Contains(standard(), face.Name) {
				continue
			}
			face.Properties = slices.Clone(face.Properties)
			for i, p := range face.Properties {
				if v, ok := w.values[at][face.Name][p.Name]; ok {
					face.Properties[i].Value, _ = decodeVariant(v) // what cannot be written down is left out
				}
			}
			of.Interfaces = append(of.Interfaces, face)
		}
		if len(of.Interfaces) > 0 {
			all = append(all, of)
		}
	}
	slices.SortFunc(all, func(a, b state.ServiceObject) int { return cmp.Compare(a.Path, b.Path) })
	return all
}
