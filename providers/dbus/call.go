package dbus

import (
	"reflect"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/state"
)

// A Call is a method that is called unless what it brings about is so already.
type Call struct {
	Name      string `hcl:"name,label" json:"name"`
	Service   string `hcl:"service" json:"service"`
	Path      string `hcl:"path" json:"path"`
	Interface string `hcl:"interface" json:"interface"`
	Method    string `hcl:"method" json:"method"`
	Args      any    `hcl:"args,optional" json:"args,omitempty"` // a list
	// Unless is an object: the property of the same object that equals something once the method has been called; and where that
	// is another object's, its path, and where it is of another interface, that interface.
	Unless any `hcl:"unless" json:"unless"`
}

// Key is the block's name.
func (c Call) Key() string { return c.Name }

// Same compares everything.
func (c Call) Same(other state.Object) bool { return reflect.DeepEqual(c, other) }

// A condition is what holds once a call has been made.
type condition struct {
	place
	equals any
}

// condition reads unless. What is wrong with it is empty where nothing is.
func (c Call) condition() (cond condition, wrong string) {
	const form = `unless is an object, such as { property = "State", equals = "ready" }, with path and interface where these are not the call's own`
	m, ok := c.Unless.(map[string]any)
	if !ok {
		return cond, form + "; given is " + shown(c.Unless)
	}
	cond.place = place{c.Service, dbus.ObjectPath(c.Path), c.Interface, ""}
	known := 0
	for name, into := range map[string]func(string){
		"property":  func(s string) { cond.property = s },
		"path":      func(s string) { cond.path = dbus.ObjectPath(s) },
		"interface": func(s string) { cond.iface = s },
	} {
		v, given := m[name]
		if !given {
			continue
		}
		text, ok := v.(string)
		if !ok {
			return cond, form
		}
		into(text)
		known++
	}
	equals, given := m["equals"]
	if given {
		cond.equals = equals
		known++
	}
	switch {
	case known != len(m) || equals == nil:
		return cond, form
	case !isMember(cond.property):
		return cond, quoted(cond.property) + " is no name of a property"
	case !cond.path.IsValid():
		return cond, quoted(string(cond.path)) + " is no path of an object"
	case !isInterface(cond.iface):
		return cond, quoted(cond.iface) + " is no name of an interface"
	}
	return cond, ""
}

// Check finds names that are none, and a condition that is none.
func (c Call) Check(report func(attr, summary, detail string)) {
	checkNames(c.Service, c.Path, c.Interface, report)
	if !isMember(c.Method) {
		report("method", "Invalid name of a method", quoted(c.Method)+" is no name of a method: it has letters, digits and underscores, and does not begin with a digit.")
	}
	checkArgs("args", c.Args, report)
	if _, wrong := c.condition(); wrong != "" {
		report("unless", "Invalid condition", wrong+".")
	}
}
