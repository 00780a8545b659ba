// Package net looks after the network of the host: links, addresses, routes and rules over rtnetlink(7), and settings of the kernel in
// /proc/sys (sysctl.d(5)), bridges and ports of Open vSwitch, and WireGuard interfaces. It may import state, state/wgkey, providers/internal/*,
// vishvananda/netlink, wgctrl, godbus, go-systemd and golang.org/x/sys/unix.
package net

import (
	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of the provider.
func Kinds(host state.Host, bus *sysbus.Bus) state.Kinds {
	return kindsOf(host, bus, &vswitch{ovsdb.New(ovsdb.DefaultAddress), ovsdb.DefaultDir})
}

func kindsOf(host state.Host, bus *sysbus.Bus, v *vswitch) state.Kinds {
	c := &connections{client: v.client}
	return state.Kinds{
		state.KindOf[Network]("net", state.NetworkNode, &networks{}),
		state.KindOf[Sysctl]("net", "sysctl", &sysctls{host.Path("/proc/sys")}),
		state.KindOf[Link]("net", "link", &links{c, v}),
		state.KindOf[WireGuard]("net", "wireguard", &wireguards{c, bus, keys{host.Key}}),
		state.KindOf[Bridge]("net", "bridge", &bridges{v, c}),
		state.KindOf[Port]("net", "port", &ports{v, c}),
		state.KindOf[Address]("net", "address", &addresses{c}),
		state.KindOf[Route]("net", "route", &routes{c}),
		state.KindOf[Rule]("net", "rule", &rules{c}),
		state.KindOf[NetworkdFile]("net", persistNetworkd, &networkdFiles{marked.Files{FS: hostfs.FS{Root: host.Root}}}),
	}
}
