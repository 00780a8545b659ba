// Package providers lists the kinds that this build of opdbus knows. It may import state and the providers below it.
package providers

import (
	"context"
	"io"
	"slices"

	"github.com/opdbus/opdbus/providers/dbus"
	"github.com/opdbus/opdbus/providers/dnsresolver"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/wireguard"
	"github.com/opdbus/opdbus/providers/login1"
	"github.com/opdbus/opdbus/providers/net"
	"github.com/opdbus/opdbus/providers/openflow"
	"github.com/opdbus/opdbus/providers/packagekit"
	"github.com/opdbus/opdbus/providers/registry"
	"github.com/opdbus/opdbus/providers/stage"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

// All are the kinds of all providers, one entry a provider.
func All(host state.Host) state.Kinds {
	bus := sysbus.New("") // which is connected to when something has to be asked
	return slices.Concat(
		stage.Kinds(host),
		registry.Kinds(host),
		systemd.Kinds(host, bus),
		login1.Kinds(host, bus),
		dnsresolver.Kinds(host, bus),
		packagekit.Kinds(host, bus, host.Tell),
		net.Kinds(host, bus),
		openflow.Kinds(),
		dbus.Kinds(host, bus),
	)
}

// Programs are what runs in processes of its own, by the command that runs it.
func Programs() map[string]func(ctx context.Context, args []string, log io.Writer) error {
	return map[string]func(context.Context, []string, io.Writer) error{wireguard.Command: wireguard.Serve}
}
