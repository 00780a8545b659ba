// Package dbus looks after properties of whatever services there are on the system bus, calls their methods, and finds out what
// services there are and what they offer. Types and access come from introspection; the protocol is that of the D-Bus Specification,
// version 0.42. It may import state, providers/internal/* and godbus.
package dbus

import (
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of the provider.
func Kinds(host state.Host, bus *sysbus.Bus) state.Kinds {
	known := newIndex(host, bus)
	return state.Kinds{
		state.KindOf[Property]("dbus", "property", &properties{bus, known}),
		state.KindOf[Call]("dbus", "call", &calls{bus, known}),
		state.KindOf[state.Service]("dbus", "service", &services{bus, known}),
	}
}
