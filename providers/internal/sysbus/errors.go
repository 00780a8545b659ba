package sysbus

import (
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// The names of errors that callers tell apart.
const (
	AccessDenied     = "org.freedesktop.DBus.Error.AccessDenied"
	NoReply          = "org.freedesktop.DBus.Error.NoReply" // also when no answer came within the timeout
	NoOwner          = "org.freedesktop.DBus.Error.NameHasNoOwner"
	ServiceUnknown   = "org.freedesktop.DBus.Error.ServiceUnknown"
	UnknownMethod    = "org.freedesktop.DBus.Error.UnknownMethod"
	UnknownObject    = "org.freedesktop.DBus.Error.UnknownObject"
	UnknownInterface = "org.freedesktop.DBus.Error.UnknownInterface"
	UnknownProperty  = "org.freedesktop.DBus.Error.UnknownProperty"
	InvalidArgs      = "org.freedesktop.DBus.Error.InvalidArgs"
	Disconnected     = "org.freedesktop.DBus.Error.Disconnected" // the bus went during the call: whether it was carried out is not known

	interactive = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
	spawnFailed = "org.freedesktop.DBus.Error.Spawn."
)

// An Error is a call that came to nothing.
type Error struct {
	Service string
	Path    dbus.ObjectPath
	Method  string
	Name    string // of the error; empty when it did not come over the bus
	Message string // what the service said

	timeout time.Duration
	err     error
}

func (e *Error) Error() string {
	switch e.Name {
	case NoReply:
		if e.Message == "" {
			return fmt.Sprintf("%s did not answer %s within %s; the service may hang", e.Service, e.Method, e.timeout)
		}
	case AccessDenied, interactive:
		return fmt.Sprintf("%s does not allow %s: %s; polkit or the bus's policy refuses it to this user", e.Service, e.Method, or(e.Message, "access denied"))
	case ServiceUnknown, NoOwner:
		return fmt.Sprintf("nobody offers %s on the bus (%s): the service is not installed or does not run", e.Service, or(e.Message, e.Name))
	}
	return fmt.Sprintf("%s cannot do %s: %s", e.Service, e.Method, or(e.Message, e.Name))
}

// Unwrap is the library's error, or that the service does not run and was not to be started.
func (e *Error) Unwrap() error { return e.err }

// Absent says that the object, or what was asked of it, is not there, while its service is.
func (e *Error) Absent() bool {
	switch e.Name {
	case UnknownObject, UnknownInterface, UnknownProperty, UnknownMethod:
		return true
	}
	return false
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
