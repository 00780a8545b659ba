package dbus

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// indexVersion is that of the index file. One of another version is dropped.
const indexVersion = 1

// maxIndex is how large an index file is read, and written.
const maxIndex = 64 << 20

// An index keeps what introspection has told, by service and path, for as long as the service has the same owner: what has another
// owner, or is of another bus, is as if it were not there. In a file of the store it outlives the process; it is harmless if lost.
type index struct {
	bus  *sysbus.Bus
	file func() (target string, t *hostfs.Tree, err error)

	mu       sync.Mutex
	loaded   bool
	id       string // of the bus
	services map[string]owned
	changed  bool
}

// owned is what the owner of a service's name has told of its objects.
type owned struct {
	Owner   string            `json:"owner"`
	Objects map[string]object `json:"objects"`
}

type indexFile struct {
	Version  int              `json:"version"`
	Bus      string           `json:"bus"`
	Services map[string]owned `json:"services"`
}

func newIndex(host state.Host, bus *sysbus.Bus) *index {
	files := hostfs.FS{Root: host.Root}
	return &index{bus: bus, services: map[string]owned{}, file: func() (string, *hostfs.Tree, error) {
		t, err := files.Open()
		return host.Store + "/state/index/dbus.json", t, err
	}}
}

// with has f look at what the owner of a service tells of an object; told is false where there is no owner, or it tells nothing. Where
// that is no news and f finds fault with it, it is asked again, and so is f. It starts nothing.
func (x *index) with(ctx context.Context, service string, at dbus.ObjectPath, f func(o object, told bool) error) error {
	owner, err := x.bus.Owner(ctx, service)
	if err != nil {
		return err
	}
	if owner == "" {
		return f(object{service: service, path: at}, false)
	}
	if o, ok := x.get(ctx, service, owner, at); ok && f(o, len(o.Interfaces) > 0) == nil {
		return nil
	}
	o, err := x.ask(ctx, service, owner, at)
	if err != nil && !isAbsent(err) {
		return err
	}
	return f(o, len(o.Interfaces) > 0)
}

// ask introspects an object by its owner's unique name, so that nothing is started and nobody else answers.
func (x *index) ask(ctx context.Context, service, owner string, at dbus.ObjectPath) (object, error) {
	node, err := x.bus.IntrospectWith(ctx, sysbus.Call{Service: owner, Path: at, Timeout: askTimeout, NoAutoStart: true})
	if err != nil {
		return object{service: service, path: at}, as(service, err)
	}
	o := told(node)
	o.service, o.path = service, at
	x.put(service, owner, at, o)
	return o, nil
}

// as has an error name a service by its well-known name, which was asked by its unique one.
func as(service string, err error) error {
	var e *sysbus.Error
	if errors.As(err, &e) {
		e.Service = service
	}
	return err
}

func (x *index) get(ctx context.Context, service, owner string, at dbus.ObjectPath) (object, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.load(ctx)
	of := x.services[service]
	o, ok := of.Objects[string(at)]
	o.service, o.path = service, at
	return o, ok && of.Owner == owner
}

func (x *index) put(service, owner string, at dbus.ObjectPath, o object) {
	x.mu.Lock()
	defer x.mu.Unlock()
	of := x.services[service]
	if of.Owner != owner { // what another owner has told is of no use any more
		of = owned{owner, map[string]object{}}
	}
	of.Objects[string(at)] = o
	x.services[service], x.changed = of, true
}

// keep drops what is known of a service's objects other than these.
func (x *index) keep(service string, paths map[dbus.ObjectPath]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for at := range x.services[service].Objects {
		if !paths[dbus.ObjectPath(at)] {
			delete(x.services[service].Objects, at)
			x.changed = true
		}
	}
}

// load reads the file, once. What cannot be read, and what is of another bus, is as if it were not there.
func (x *index) load(ctx context.Context) {
	if x.loaded {
		return
	}
	x.loaded = true
	id, err := x.bus.ID(ctx)
	if err != nil {
		return
	}
	x.id = id
	target, t, err := x.file()
	if err != nil {
		return
	}
	defer t.Close()
	data, err := t.ReadFile(target, maxIndex)
	if err != nil {
		return
	}
	var f indexFile
	if json.Unmarshal(data, &f) != nil || f.Version != indexVersion || f.Bus != id {
		return
	}
	for name, of := range f.Services {
		if _, newer := x.services[name]; !newer && of.Objects != nil {
			x.services[name] = of
		}
	}
}

// save writes what has changed where there is a store. That it cannot be written is no error: it is asked again then.
func (x *index) save(ctx context.Context) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.load(ctx)
	if !x.changed || x.id == "" {
		return
	}
	data, err := json.Marshal(indexFile{indexVersion, x.id, x.services})
	if err != nil || len(data) > maxIndex {
		return
	}
	err = x.write(data)
	if errors.Is(err, fs.ErrNotExist) && x.makeDir() == nil {
		err = x.write(data)
	}
	x.changed = err != nil
}

func (x *index) write(data []byte) error {
	return x.in(func(target string) string { return target }, func(d *hostfs.Dir, name string) error {
		return d.ReplaceFile(name, own(0o600), func(f *os.File) error {
			_, err := f.Write(data)
			return err
		})
	})
}

// makeDir makes the directory of indexes, where there is a store.
func (x *index) makeDir() error {
	return x.in(path.Dir, func(d *hostfs.Dir, name string) error { return d.Mkdir(name, own(0o700)) })
}

func (x *index) in(which func(target string) string, f func(d *hostfs.Dir, name string) error) error {
	target, t, err := x.file()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.In(which(target), f)
}

func own(mode uint32) hostfs.Attributes {
	return hostfs.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: mode}
}
