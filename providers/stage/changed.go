package stage

import (
	"context"
	"time"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// Changed says when what stands at a target last changed.
func (f *files) Changed(_ context.Context, item state.Item[File]) (time.Time, error) {
	return f.fs.Changed(item.Want.Target)
}

// Changed says when what stands at a path in a tree last changed.
func (p *payloads) Changed(_ context.Context, item state.Item[Payload]) (time.Time, error) {
	return hostfs.FS{Root: p.dir(item.Addr.Node)}.Changed("/" + item.Want.Path)
}

// Changed says when a stage's marker last changed.
func (m *markers) Changed(_ context.Context, item state.Item[Marker]) (time.Time, error) {
	return hostfs.FS{Root: m.dir(item.Addr.Node)}.Changed("/" + markerName)
}
