package dbus

import (
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"github.com/opdbus/opdbus/providers/internal/closest"
	"github.com/opdbus/opdbus/state"
)

// An object is what introspection tells of one: nothing, where it does not tell.
type object struct {
	service    string
	path       dbus.ObjectPath
	Interfaces []state.ServiceInterface `json:"interfaces,omitempty"`
	Children   []string                 `json:"children,omitempty"` // their names, the last element of their paths
}

// standard are the interfaces that the D-Bus Specification defines for every object; they tell nothing of a service.
func standard() []string {
	return []string{"org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Properties"}
}

// objectManager is the interface of objects that tell of all objects below them.
const objectManager = "org.freedesktop.DBus.ObjectManager"

// told is what a node of introspection says, in the order of the names.
func told(n *introspect.Node) (o object) {
	for _, i := range n.Interfaces {
		face := state.ServiceInterface{Name: i.Name}
		for _, p := range i.Properties {
			face.Properties = append(face.Properties, state.ServiceProperty{Name: p.Name, Type: p.Type, Access: p.Access})
		}
		for _, m := range i.Methods {
			method := state.ServiceMethod{Name: m.Name}
			for _, a := range m.Args {
				if a.Direction == "out" {
					method.Out += a.Type
				} else {
					method.In += a.Type
				}
			}
			face.Methods = append(face.Methods, method)
		}
		for _, s := range i.Signals {
			signal := state.ServiceSignal{Name: s.Name}
			for _, a := range s.Args {
				signal.Type += a.Type
			}
			face.Signals = append(face.Signals, signal)
		}
		o.Interfaces = append(o.Interfaces, face)
	}
	for _, c := range n.Children {
		if isElement(c.Name, "") || c.Name != "" && isElement("_"+c.Name, "") { // an element of a path may begin with a digit
			o.Children = append(o.Children, c.Name)
		}
	}
	slices.Sort(o.Children)
	o.Children = slices.Compact(o.Children)
	return o
}

func (o object) face(name string) (state.ServiceInterface, bool) {
	for _, i := range o.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return state.ServiceInterface{}, false
}

// named finds an interface, or says which there are.
func (o object) named(name string) (state.ServiceInterface, error) {
	i, ok := o.face(name)
	if ok {
		return i, nil
	}
	var names []string
	for _, i := range o.Interfaces {
		if !slices.Contains(standard(), i.Name) {
			names = append(names, i.Name)
		}
	}
	return i, fmt.Errorf("%s of %s has no interface %s.%s", o.path, o.service, name, hint(name, names))
}

func (o object) property(face, name string) (state.ServiceProperty, error) {
	i, err := o.named(face)
	if err != nil {
		return state.ServiceProperty{}, err
	}
	var names []string
	for _, p := range i.Properties {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return state.ServiceProperty{}, fmt.Errorf("interface %s has no property %s.%s", face, name, hint(name, names))
}

// arguments are the arguments of a method, of the types that it takes. Of an object that does not tell about itself, those that suit them.
func (o object) arguments(face, name string, args []any) ([]any, error) {
	var types []signature
	if len(o.Interfaces) == 0 {
		for range args {
			types = append(types, "v")
		}
	} else {
		i, err := o.named(face)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, m := range i.Methods {
			names = append(names, m.Name)
			if m.Name != name {
				continue
			}
			if types, err = checkedAll(m.In); err != nil {
				return nil, fmt.Errorf("method %s takes what cannot be sent: %w", name, err)
			}
			if len(types) != len(args) {
				return nil, fmt.Errorf("method %s takes %d arguments (%s), not %d", name, len(types), m.In, len(args))
			}
		}
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("interface %s has no method %s.%s", face, name, hint(name, names))
		}
	}
	sent := make([]any, len(args))
	for i, s := range types {
		x, err := encode(args[i], s, nil)
		if err != nil {
			return nil, fmt.Errorf("argument %d of method %s: %w", i+1, name, err)
		}
		if v, ok := x.(dbus.Variant); ok && len(o.Interfaces) == 0 {
			x = v.Value()
		}
		sent[i] = x
	}
	return sent, nil
}

// hint is what somebody may have meant, or all there is where that is not much.
func hint(word string, there []string) string {
	if h := closest.Hint(word, there); h != "" {
		return h
	}
	const most = 8
	if len(there) == 0 || len(there) > most {
		return ""
	}
	text := " It has "
	for i, name := range there {
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text + "."
}
