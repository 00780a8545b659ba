package dbus

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/state"
)

// A Property is one of an object of a service.
type Property struct {
	Name      string `hcl:"name,label" json:"name"`
	Service   string `hcl:"service" json:"service"`
	Path      string `hcl:"path" json:"path"`
	Interface string `hcl:"interface" json:"interface"`
	Property  string `hcl:"property" json:"property"`
	// Value is as JSON has it; the property's own type says what becomes of it.
	Value   any      `hcl:"value" json:"value"`
	SetWith *SetWith `hcl:"set_with,block" json:"set_with,omitempty"`

	// Found is what was there before; nil where there was no such property.
	Found *Property `json:"found,omitempty"`
}

// A SetWith is a method that sets a property, where it cannot be set itself or is not to be.
type SetWith struct {
	Method    string `hcl:"method" json:"method"`
	Interface string `hcl:"interface,optional" json:"interface,omitempty"` // the property's own, where it is not said
	// Args is a list. In it, and in lists and objects in it, the string $value stands for the value; a string that begins with $$ is
	// itself, without the first of them.
	Args any `hcl:"args,optional" json:"args,omitempty"`
}

// placeholder is what stands for the value in the arguments of a SetWith.
const placeholder = "$value"

// arguments are the arguments that set a value.
func (s SetWith) arguments(value any) []any {
	list, _ := s.Args.([]any)
	all, _ := substitute(list, value).([]any)
	return all
}

func substitute(in, value any) any {
	switch in := in.(type) {
	case string:
		switch {
		case in == placeholder:
			return value
		case strings.HasPrefix(in, "$$"):
			return in[1:]
		}
	case []any:
		out := make([]any, len(in))
		for i, each := range in {
			out[i] = substitute(each, value)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(in))
		for name, each := range in {
			out[name] = substitute(each, value)
		}
		return out
	}
	return in
}

// Key is the block's name.
func (p Property) Key() string { return p.Name }

// Thing says that a property is one thing, whoever declares it.
func (p Property) Thing() string { return p.place().String() }

func (p Property) place() place {
	return place{p.Service, dbus.ObjectPath(p.Path), p.Interface, p.Property}
}

// A place is where a property is.
type place struct {
	service  string
	path     dbus.ObjectPath
	iface    string
	property string
}

func (p place) String() string {
	return fmt.Sprintf("property %s.%s of %s at %s", p.iface, p.property, p.service, p.path)
}

// Same compares all but what was there before.
func (p Property) Same(other state.Object) bool {
	o, ok := other.(Property)
	p.Found, o.Found = nil, nil
	return ok && reflect.DeepEqual(p, o)
}

// Check finds names that are none, and arguments that are no list.
func (p Property) Check(report func(attr, summary, detail string)) {
	checkNames(p.Service, p.Path, p.Interface, report)
	if !isMember(p.Property) {
		report("property", "Invalid name of a property", quoted(p.Property)+" is no name of a property: it has letters, digits and underscores, and does not begin with a digit.")
	}
	if p.Value == nil {
		report("value", "Missing value", "D-Bus has no null: give the value that the property is to have.")
	}
	if p.SetWith == nil {
		return
	}
	if !isMember(p.SetWith.Method) {
		report("set_with", "Invalid name of a method", quoted(p.SetWith.Method)+" is no name of a method: it has letters, digits and underscores, and does not begin with a digit.")
	}
	if i := p.SetWith.Interface; i != "" && !isInterface(i) {
		report("set_with", "Invalid name of an interface", quoted(i)+" is no name of an interface, such as org.example.Interface.")
	}
	checkArgs("set_with", p.SetWith.Args, report)
}

func checkNames(service, path, iface string, report func(attr, summary, detail string)) {
	if !isService(service) {
		report("service", "Invalid name of a service", quoted(service)+" is no well-known name of the bus, such as org.freedesktop.hostname1.")
	}
	if !dbus.ObjectPath(path).IsValid() {
		report("path", "Invalid path", quoted(path)+" is no path of an object, such as /org/freedesktop/hostname1.")
	}
	if !isInterface(iface) {
		report("interface", "Invalid name of an interface", quoted(iface)+" is no name of an interface, such as org.example.Interface.")
	}
}

func checkArgs(attr string, args any, report func(attr, summary, detail string)) {
	if _, ok := args.([]any); !ok && args != nil {
		report(attr, "Arguments are a list", "args is the list of the arguments that the method takes, in their order; given is "+shown(args)+".")
	}
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
