// Package packagekit looks after packages and repositories over the bus (org.freedesktop.PackageKit, as of PackageKit 1.2.6). It may
// import state, providers/internal/*, golang.org/x/sys and godbus.
//
// What PackageKit does not tell is read from dpkg's own records, where there are such (dpkg(1), /var/lib/dpkg): which packages an
// installation that was cut off has left between installed and not.
package packagekit

import (
	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of the provider. Progress is told what PackageKit is doing, in words; nil: nobody is. It returns quickly.
func Kinds(host state.Host, bus *sysbus.Bus, progress func(text string)) state.Kinds {
	kit := packageKit{bus: bus, dpkg: dpkg{dir: dpkgDir}, progress: progress}
	fs := hostfs.FS{Root: host.Root, Closed: []string{host.Store}}
	return state.Kinds{
		state.KindOf[Repository]("packagekit", "repository", &repositories{kit: kit, fs: fs}),
		state.KindOf[Package]("packagekit", "package", &packages{kit: kit, fs: fs}),
	}
}
