package openflow

import (
	"context"

	"github.com/opdbus/opdbus/providers/internal/management"
)

// path is what carries the connection over which somebody runs opdbus; nil for none. It is found out once.
func (s *vswitch) path(ctx context.Context) (*management.Path, error) {
	s.looked.Do(func() { s.carries, s.unknown = management.Find(ctx, s.client) })
	return s.carries, s.unknown
}

// Endangers says of flows that they are on a bridge by which the connection goes.
func (p *flows) Endangers(ctx context.Context, before, after *Flow) (string, error) {
	c, err := p.path(ctx)
	if err != nil || c == nil {
		return "", err
	}
	for _, f := range []*Flow{before, after} {
		if f != nil && c.Bridges[f.Bridge] {
			return "is on the bridge of your connection from " + c.Peer.String(), nil
		}
	}
	return "", nil
}

// Endangers says of bridges that flows of somebody else's go by which the connection may.
func (p *bridges) Endangers(ctx context.Context, before, after *Bridge) (string, error) {
	c, err := p.path(ctx)
	if err != nil || c == nil || before == nil || after == nil || !c.Bridges[after.Name] || len(before.Foreign) <= len(after.Foreign) {
		return "", err
	}
	return "takes flows from the bridge of your connection from " + c.Peer.String(), nil
}
