// Package sysbus is the client of the system bus that providers share: one connection, a deadline on every call, and signals that are
// always drained. It implements nothing of a service. It may import state, the standard library and
// godbus.
//
// The protocol is that of the D-Bus Specification, version 0.42; times are time.Duration, and names are the bus's own.
package sysbus
