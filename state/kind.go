package state

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// A Kind is a provider whose T has been forgotten: what the engine works with. KindOf makes one.
type Kind struct {
	Provider, Name string
	// Object is the T that was forgotten, for those who decode into it.
	Object reflect.Type
	// InTree says that the objects live in the node's subvolume, so that a snapshot of it takes them back.
	InTree bool
	// Triggered says that the objects are restarted or reloaded when what they refer to changes.
	Triggered bool
	// Live says that the objects are states of running services.
	Live bool
	// Volatile says that the objects go by themselves.
	Volatile bool
	// Overlapping says that what goes, goes after what comes.
	Overlapping bool
	// Discoverer finds what services there are; nil for kinds that do not.
	Discoverer Discoverer

	read   func(ctx context.Context, addrs []Addr, wants []Object) ([]Object, error)
	apply  func(ctx context.Context, site Site, changes []Change) error
	decode func(data []byte) (Object, error)

	owns         func(made, live Object) bool
	claim        func(want, live Object) (Object, error)
	recorded     func(made []byte, want Object) bool
	plan         func(ctx context.Context, items []PlannedObject) error
	save         func(ctx context.Context, site Site, changes []Change) error
	sync         func(ctx context.Context, site Site, changes []Change) error
	disturbs     func(c Change) []string
	irreversible func(c Change) string
	endangers    func(ctx context.Context, c Change) (string, error)
	attend       func(ctx context.Context, declared []Object, why string) (leave func(), err error)
	explain      func(ctx context.Context, want, live Object) string
	expand       func(ctx context.Context, config *Config, node *Node) Diagnostics
	changed      func(ctx context.Context, a Addr, made Object) (time.Time, error)
	watch        func(ctx context.Context, addrs []Addr, made []Object, tell func([]Addr, error)) error
	accept       func(ctx context.Context, node *Node, a Addr, want, live Object) (Acceptance, error)
	list         func(ctx context.Context) ([]Object, error)
}

// A PlannedObject is a Planned item whose T has been forgotten.
type PlannedObject struct {
	Addr             Addr
	Made, Live, Want Object
}

// Type is the kind's name in a plan's JSON, such as stage_file.
func (k *Kind) Type() string { return k.Provider + "_" + k.Name }

// Read reads the live state of what wants describe, nil for what is not there, in order.
func (k *Kind) Read(ctx context.Context, addrs []Addr, wants []Object) ([]Object, error) {
	return k.read(ctx, addrs, wants)
}

// Apply makes the changes, which are all of one node, in order.
func (k *Kind) Apply(ctx context.Context, site Site, changes []Change) error {
	return k.apply(ctx, site, changes)
}

// Decode reads an object from the JSON that the ledger or the journal has of it.
func (k *Kind) Decode(data []byte) (Object, error) {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	return k.decode(data)
}

// IsOwner says whether the kind's things stand where somebody else's could stand.
func (k *Kind) IsOwner() bool { return k.owns != nil }

// Owns says whether live is what opdbus made. Kinds without ownership share their things: all of it is ours to manage.
func (k *Kind) Owns(made, live Object) bool { return k.owns == nil || k.owns(made, live) }

// Claim says what want comes to where live stands and is not ours.
func (k *Kind) Claim(want, live Object) (Object, error) { return k.claim(want, live) }

// Recorded says whether the ledger's entry for an object, as JSON, says of it what want says: what is on the host may have
// come to be so by somebody else's hand. An entry that cannot be read does not.
func (k *Kind) Recorded(made []byte, want Object) bool {
	if k.recorded != nil && k.recorded(made, want) {
		return true
	}
	entry, err := k.Decode(made)
	if err != nil {
		return false
	}
	if Same(entry, want) {
		return true
	}
	// JSON does not hold everything as it is, such as a name that is no UTF-8; then both have to come back the same.
	data, err := json.Marshal(want)
	if err != nil {
		return false
	}
	back, err := k.Decode(data)
	return err == nil && Same(entry, back)
}

// IsPlanner says whether the kind completes what is wanted.
func (k *Kind) IsPlanner() bool { return k.plan != nil }

// Plan completes what is wanted.
func (k *Kind) Plan(ctx context.Context, items []PlannedObject) error {
	if k.plan == nil {
		return nil
	}
	return k.plan(ctx, items)
}

// Save puts aside what the changes would destroy.
func (k *Kind) Save(ctx context.Context, site Site, changes []Change) error {
	if k.save == nil {
		return nil
	}
	return k.save(ctx, site, changes)
}

// Sync brings what the changes wrote to disk.
func (k *Kind) Sync(ctx context.Context, site Site, changes []Change) error {
	if k.sync == nil {
		return nil
	}
	return k.sync(ctx, site, changes)
}

// Disturbs says what else a change does to the running host.
func (k *Kind) Disturbs(c Change) []string {
	if k.disturbs == nil {
		return nil
	}
	return k.disturbs(c)
}

// Irreversible says why a change cannot be taken back; empty when it can.
func (k *Kind) Irreversible(c Change) string {
	if k.irreversible == nil {
		return ""
	}
	return k.irreversible(c)
}

// Endangers says how a change could cut the connection over which opdbus was started; empty where it could not.
func (k *Kind) Endangers(ctx context.Context, c Change) (string, error) {
	if k.endangers == nil {
		return "", nil
	}
	return k.endangers(ctx, c)
}

// Attend begins what the kind does for the length of a run; nil when it does nothing.
func (k *Kind) Attend(ctx context.Context, declared []Object, why string) (leave func(), err error) {
	if k.attend == nil {
		return nil, nil
	}
	return k.attend(ctx, declared, why)
}

// Explain says why live is not what was wanted; empty where nothing tells.
func (k *Kind) Explain(ctx context.Context, want, live Object) string {
	if k.explain == nil || want == nil {
		return ""
	}
	return k.explain(ctx, want, live)
}

// Expand replaces a node's declared objects by what they come to.
func (k *Kind) Expand(ctx context.Context, config *Config, node *Node) Diagnostics {
	if k.expand == nil {
		return nil
	}
	return k.expand(ctx, config, node)
}

// Changed says when what stands in the place of what was made last changed, or when it went; zero where nothing tells.
func (k *Kind) Changed(ctx context.Context, a Addr, made Object) (time.Time, error) {
	if k.changed == nil {
		return time.Time{}, nil
	}
	return k.changed(ctx, a, made)
}

// IsWatcher says whether the kind hears of what happens to its things.
func (k *Kind) IsWatcher() bool { return k.watch != nil }

// Watch tells of what happens to what was made, from when it returns until ctx ends.
func (k *Kind) Watch(ctx context.Context, addrs []Addr, made []Object, tell func(named []Addr, err error)) error {
	return k.watch(ctx, addrs, made, tell)
}

// Accept says what has to be written so that the node wants an object, which it declares, as live is.
func (k *Kind) Accept(ctx context.Context, node *Node, a Addr, want, live Object) (Acceptance, error) {
	if k.accept == nil {
		return acceptTagged(want, live)
	}
	return k.accept(ctx, node, a, want, live)
}

// List tells what is there at all; ok is false when the kind cannot tell.
func (k *Kind) List(ctx context.Context) (objects []Object, ok bool, err error) {
	if k.list == nil {
		return nil, false, nil
	}
	objects, err = k.list(ctx)
	return objects, true, err
}

// KindOf makes a Kind of a provider, with the abilities that the provider's type has. It is the one place where T is forgotten.
func KindOf[T Object](provider, name string, p Provider[T]) *Kind {
	k := &Kind{Provider: provider, Name: name, Object: reflect.TypeFor[T]()}
	k.decode = func(data []byte) (Object, error) {
		var t T
		if err := json.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("cannot decode a %s: %w", k.Type(), err)
		}
		return t, nil
	}
	k.read = readWith(p)
	k.apply = applyWith(p)
	_, k.Live = p.(Live)
	_, k.Overlapping = p.(Overlapping)
	_, k.Volatile = p.(Volatile)
	k.Discoverer, _ = p.(Discoverer)
	k.Triggered = k.Object.Implements(reflect.TypeFor[Triggered]())
	if o, ok := p.(Owner[T]); ok {
		k.owns = func(made, live Object) bool { return o.Owns(pointer[T](made), live.(T)) }
		k.claim = func(want, live Object) (Object, error) {
			t, err := o.Claim(want.(T), live.(T))
			if err != nil {
				return nil, err
			}
			return t, nil
		}
	}
	if rec, ok := p.(Recorder[T]); ok {
		k.recorded = func(made []byte, want Object) bool { return rec.Recorded(made, want.(T)) }
	}
	if pl, ok := p.(Planner[T]); ok {
		k.plan = func(ctx context.Context, items []PlannedObject) error {
			typed := make([]Planned[T], len(items))
			for i, it := range items {
				typed[i] = Planned[T]{it.Addr, pointer[T](it.Made), pointer[T](it.Live), pointer[T](it.Want)}
			}
			if err := pl.PlanAll(ctx, typed); err != nil {
				return err
			}
			for i, it := range typed {
				items[i].Want = object(it.Want)
			}
			return nil
		}
	}
	if s, ok := p.(Saver[T]); ok {
		k.save = func(ctx context.Context, site Site, changes []Change) error {
			return s.Save(ctx, site, typed[T](changes))
		}
	}
	if s, ok := p.(Syncer[T]); ok {
		k.sync = func(ctx context.Context, site Site, changes []Change) error {
			return s.Sync(ctx, site, typed[T](changes))
		}
	}
	if d, ok := p.(Disturber[T]); ok {
		k.disturbs = func(c Change) []string { return d.Disturbs(pointer[T](c.Before), pointer[T](c.After)) }
	}
	if i, ok := p.(Irreversible[T]); ok {
		k.irreversible = func(c Change) string { return i.Irreversible(pointer[T](c.Before), pointer[T](c.After)) }
	}
	if en, ok := p.(Endangering[T]); ok {
		k.endangers = func(ctx context.Context, c Change) (string, error) {
			return en.Endangers(ctx, pointer[T](c.Before), pointer[T](c.After))
		}
	}
	if at, ok := p.(Attendant[T]); ok {
		k.attend = func(ctx context.Context, declared []Object, why string) (func(), error) {
			typed := make([]T, len(declared))
			for i, d := range declared {
				typed[i] = d.(T)
			}
			return at.Attend(ctx, typed, why)
		}
	}
	if e, ok := p.(Explainer[T]); ok {
		k.explain = func(ctx context.Context, want, live Object) string { return e.Explain(ctx, want.(T), pointer[T](live)) }
	}
	if e, ok := p.(Expander[T]); ok {
		k.expand = func(ctx context.Context, config *Config, node *Node) Diagnostics {
			self, _ := node.Self.(T) // another type's, where the node is a plugin
			return e.Expand(ctx, config, node, self)
		}
	}
	if d, ok := p.(Dater[T]); ok {
		k.changed = func(ctx context.Context, a Addr, made Object) (time.Time, error) {
			return d.Changed(ctx, Item[T]{a, made.(T)})
		}
	}
	if w, ok := p.(Watcher[T]); ok {
		k.watch = func(ctx context.Context, addrs []Addr, made []Object, tell func([]Addr, error)) error {
			items := make([]Item[T], len(made))
			for i, m := range made {
				items[i] = Item[T]{addrs[i], m.(T)}
			}
			return w.Watch(ctx, items, tell)
		}
	}
	if acc, ok := p.(Accepter[T]); ok {
		k.accept = func(ctx context.Context, node *Node, a Addr, want, live Object) (Acceptance, error) {
			return acc.Accept(ctx, node, Item[T]{a, want.(T)}, live.(T))
		}
	}
	if l, ok := p.(Lister[T]); ok {
		k.list = func(ctx context.Context) ([]Object, error) {
			ts, err := l.List(ctx)
			objects := make([]Object, len(ts))
			for i, t := range ts {
				objects[i] = t
			}
			return objects, err
		}
	}
	return k
}
