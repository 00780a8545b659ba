// Package dnsresolver looks after where names are looked up: for the whole host in whatever owns /etc/resolv.conf (systemd-resolved or,
// where it is a plain file, that), and for single links in systemd-resolved (org.freedesktop.resolve1(5), as of systemd 252). It may
// import state, providers/internal/*, godbus and golang.org/x/sys/unix.
package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

const (
	service     = "org.freedesktop.resolve1"
	managerPath = "/org/freedesktop/resolve1"
	managerFace = service + ".Manager"
	linkFace    = service + ".Link"
)

// Kinds are the kinds of the provider.
func Kinds(host state.Host, bus *sysbus.Bus) state.Kinds {
	fs := hostfs.FS{Root: host.Root, Closed: []string{host.Store}}
	return state.Kinds{
		state.KindOf[Resolver]("dnsresolver", "resolver", &resolvers{resolved{bus}, marked.Files{FS: fs}}),
		state.KindOf[Link]("dnsresolver", "link", &links{resolved{bus}}),
	}
}

// resolved is systemd-resolved itself.
type resolved struct{ bus *sysbus.Bus }

func (r resolved) call(ctx context.Context, method string, args []any, results ...any) error {
	return r.bus.Call(ctx, sysbus.Call{Service: service, Path: managerPath, Method: managerFace + "." + method, Args: args}, results...)
}

// properties reads all properties of an object. Where resolved does not run, it is not started for that, and there are none.
func (r resolved) properties(ctx context.Context, path dbus.ObjectPath, iface string) (map[string]dbus.Variant, error) {
	var all map[string]dbus.Variant
	err := r.bus.Call(ctx, sysbus.Call{Service: service, Path: path, Method: "org.freedesktop.DBus.Properties.GetAll", Args: []any{iface}, NoAutoStart: true}, &all)
	var e *sysbus.Error
	if errors.As(err, &e) && (e.Name == sysbus.NoOwner || e.Name == sysbus.ServiceUnknown) {
		return nil, nil
	}
	return all, err
}

// An address is one of a server as the bus has it, of which global ones have no link.
type address struct {
	Family  int32
	Address []byte
	Port    uint16
	Name    string
}

func (a address) server() (server, error) {
	ip, ok := netip.AddrFromSlice(a.Address)
	if !ok {
		return server{}, fmt.Errorf("resolved tells of a server whose address has %d bytes", len(a.Address))
	}
	return server{ip, a.Port, a.Name}, nil
}

// A domain is one as the bus has it.
type domain struct {
	Name  string
	Route bool
}
