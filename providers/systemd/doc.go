// Package systemd looks after units, drop-ins and timers of the system's systemd, over the bus (org.freedesktop.systemd1, its interface
// Manager, as of systemd 252) and by unit files in /etc/systemd/system. It may import state, providers/internal/* and godbus.
package systemd

import (
	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of the provider.
func Kinds(host state.Host, bus *sysbus.Bus) state.Kinds {
	files := unitFiles{hostfs.FS{Root: host.Root, Closed: []string{host.Store}}}
	units := &units{manager: manager{bus}, files: files}
	return state.Kinds{
		state.KindOf[Unit]("systemd", "unit", units),
		state.KindOf[DropIn]("systemd", "drop_in", &dropIns{manager: units.manager, files: files}),
		state.KindOf[Timer]("systemd", "timer", &timers{units}),
	}
}
