// Package login1 looks after what logind (org.freedesktop.login1(5), as of systemd 252) keeps: whose services linger, which sessions are
// ended, and logind's own settings. It also holds back shutdown and sleep for the length of a run. It may import state,
// providers/internal/*, godbus and golang.org/x/sys/unix.
package login1

import (
	"context"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

const (
	service     = "org.freedesktop.login1"
	managerPath = "/org/freedesktop/login1"
	managerFace = service + ".Manager"
	sessionFace = service + ".Session"
)

// Kinds are the kinds of the provider.
func Kinds(host state.Host, bus *sysbus.Bus) state.Kinds {
	m := manager{bus}
	fs := hostfs.FS{Root: host.Root, Closed: []string{host.Store}}
	return state.Kinds{
		state.KindOf[Linger]("login1", "linger", &lingers{manager: m, fs: fs}),
		state.KindOf[SessionRule]("login1", "session", &sessions{m}),
		state.KindOf[Settings]("login1", "settings", &settings{m, marked.Files{FS: fs}}),
		state.KindOf[Inhibitor]("login1", "inhibit", &inhibitors{m}),
	}
}

// manager is logind itself.
type manager struct{ bus *sysbus.Bus }

func (m manager) call(ctx context.Context, method string, args []any, results ...any) error {
	return m.bus.Call(ctx, sysbus.Call{Service: service, Path: managerPath, Method: managerFace + "." + method, Args: args}, results...)
}
