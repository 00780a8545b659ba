package stage

import (
	"context"
	"os"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/plugin"
	"github.com/opdbus/opdbus/state"
)

// assemble puts the node's objects together in the order in which they are made.
func (e *expansion) assemble(ctx context.Context) {
	objects := make([]state.Declared, 0, len(e.payload)+len(e.made)+len(e.self.Plugins)+1)
	for i := range e.payload {
		p := &e.payload[i]
		objects = append(objects, state.Declared{Addr: e.addr("payload", p.Path), Object: p.Payload, Sensitive: p.sensitive, Source: p.source, Attr: p.attr})
	}
	objects = append(objects, e.made...)
	objects = append(objects, e.registrations(ctx)...)
	marker := Marker{Component: e.self.Component, Version: e.self.Version}
	e.node.Objects = append(objects, state.Declared{Addr: e.addr("marker", markerName), Object: marker, Source: e.node.Source, Attr: e.at})
}

func (e *expansion) addr(kind, key string) state.Addr {
	return state.Addr{Node: e.node.Addr, Kind: kind, Key: key}
}

// registrations are those of the plugins that the stage lists.
func (e *expansion) registrations(ctx context.Context) []state.Declared {
	if len(e.self.Plugins) == 0 {
		return nil
	}
	payload := e.pluginFiles()
	at := e.at("plugins")
	var registered []state.Declared
	for _, name := range e.self.Plugins {
		if !state.ValidName(name) {
			e.diags.Errorf(at, "Invalid plugin name", "%q cannot name a plugin: a name is made of letters, digits, - and _.", name)
			continue
		}
		q := plugin.Request{Name: name, Stage: e.node.Addr.Dir(), StageVersion: e.self.Version, Payload: payload, At: at}
		if block, ok := plugin.BlockOf(e.config, name); ok && block.Source != "" {
			files, err := plugin.Files(ctx, block.Source)
			if err != nil {
				e.diags.Errorf(at, "Cannot read the source of plugin "+name, "%s.", sentence(err))
				continue
			}
			q.Source = files
		}
		r, diags := plugin.Register(e.config, q)
		e.diags = append(e.diags, diags...)
		registered = append(registered, state.Declared{Addr: e.addr("registration", name), Object: r, Source: at, Attr: e.at})
	}
	return registered
}

// pluginFiles are the files of the payload that can belong to a plugin.
func (e *expansion) pluginFiles() []plugin.File {
	var files []plugin.File
	for i := range e.payload {
		p := &e.payload[i].Payload
		if p.Type != typeFile || !strings.HasPrefix(p.Path, "plugins/") && !strings.HasPrefix(p.Path, "schemas/") {
			continue
		}
		files = append(files, plugin.File{Path: p.Path, Digest: p.Digest, Read: func() ([]byte, error) {
			if p.Content != nil {
				return []byte(*p.Content), nil
			}
			return os.ReadFile(p.From)
		}})
	}
	return files
}

// readAccounts reads the users and groups below the root.
func (h *host) readAccounts() (*hostfs.Accounts, error) {
	t, err := h.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Accounts()
}
