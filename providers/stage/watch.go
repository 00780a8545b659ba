package stage

import (
	"context"
	"strconv"

	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// Watch hears of what happens to targets.
func (f *files) Watch(ctx context.Context, items []state.Item[File], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: it.Want.Target})
		if it.Want.Was != "" {
			paths = append(paths, watch.Path{Addr: it.Addr, Path: it.Want.Was})
		}
		paths = append(paths, accounts(it.Addr, it.Want.Owner, it.Want.Group)...)
	}
	return watch.Paths(ctx, f.Root, paths, tell)
}

// Watch hears of what happens in trees. They are gone to from the root, since a tree is exchanged as a whole, too.
func (p *payloads) Watch(ctx context.Context, items []state.Item[Payload], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: p.inside(it.Addr.Node, it.Want.Path)})
		paths = append(paths, accounts(it.Addr, it.Want.Owner, it.Want.Group)...)
	}
	return watch.Paths(ctx, p.Root, paths, tell)
}

// Watch hears of what happens to markers.
func (m *markers) Watch(ctx context.Context, items []state.Item[Marker], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: m.inside(it.Addr.Node, markerName)})
	}
	return watch.Paths(ctx, m.Root, paths, tell)
}

// accounts are the files by which an owner's or a group's name comes to mean somebody else.
func accounts(a state.Addr, owner, group string) (paths []watch.Path) {
	for _, of := range []struct{ name, file string }{{owner, "/etc/passwd"}, {group, "/etc/group"}} {
		if _, err := strconv.Atoi(of.name); err != nil && !plain(of.name) {
			paths = append(paths, watch.Path{Addr: a, Path: of.file})
		}
	}
	return paths
}
