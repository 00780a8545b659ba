package registry

import (
	"context"

	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// Watch hears of what happens to registry files.
func (r *registrations) Watch(ctx context.Context, items []state.Item[Registration], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: r.path(it.Want.Name)})
	}
	return watch.Paths(ctx, r.host.Root, paths, tell)
}
