// Package registry looks after the registrations of plugins: a file for each in the registry, REGISTRY/NAME.toml. It may
// import state, providers/internal/* and go-toml.
package registry

import (
	"context"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of the registry: the plugin block, and the registration that every stage and plugin may have.
func Kinds(host state.Host) state.Kinds {
	return state.Kinds{
		state.KindOf[Plugin](state.CommonProvider, "plugin", plugins{}),
		state.KindOf[Registration](state.CommonProvider, "registration", &registrations{host: host, fs: hostfs.FS{Root: host.Root, Closed: []string{host.Store}}}),
	}
}

// A Plugin is a plugin block's own attributes.
type Plugin = plugin.Block

// A Registration says that a plugin is there.
type Registration = plugin.Registration

// plugins is the provider of plugin blocks, which only expand.
type plugins struct{}

func (plugins) Read(context.Context, Plugin) (*Plugin, error) { return nil, nil }
func (plugins) Apply(context.Context, *Plugin, *Plugin) error { return nil }
