// Package net looks after the network of the host: links, addresses, routes and rules over rtnetlink(7), and settings of the kernel in
// /proc/sys (sysctl.d(5)). It may import state, providers/internal/*, vishvananda/netlink and golang.org/x/sys/unix.
package net

import "github.com/opdbus/opdbus/state"

// Kinds are the kinds of the provider.
func Kinds(host state.Host) state.Kinds {
	c := &connections{}
	return state.Kinds{
		state.KindOf[Network]("net", state.NetworkNode, &networks{}),
		state.KindOf[Sysctl]("net", "sysctl", &sysctls{host.Path("/proc/sys")}),
		state.KindOf[Link]("net", "link", &links{c}),
		state.KindOf[Address]("net", "address", &addresses{c}),
		state.KindOf[Route]("net", "route", &routes{c}),
		state.KindOf[Rule]("net", "rule", &rules{c}),
	}
}
