package net

import (
	"context"
	"fmt"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/state"
)

// netns are the network namespaces in which the port's link may be. One for which nothing is declared may be in any, and is whoever's it was given to.
func (p Port) netns() []string {
	some := []string{""}
	if is := deref(p.Netns); is != "" {
		some = append(some, is)
	}
	if p.former != nil && deref(p.former.Netns) != "" {
		some = append(some, *p.former.Netns)
	}
	return some
}

// netnsOf are those in which the link may be of a port that changes.
func netnsOf(change state.ChangeOf[Port]) (some []string) {
	for _, p := range []*Port{change.After, change.Before} {
		if p != nil {
			some = append(some, p.netns()...)
		}
	}
	return some
}

// present is the configuration, without those of the ports whose link went with a network namespace: the switch makes a link only for one that is new.
func (p *ports) present(ctx context.Context, changes []state.ChangeOf[Port]) (configuration, error) {
	c, err := p.running(ctx)
	if err != nil {
		return c, err
	}
	var ops []ovsdb.Operation
	for _, change := range changes {
		after := change.After
		if after == nil || !after.isLink() || deref(after.Netns) == "" {
			continue
		}
		if err := inside(*after.Netns, func() error { return nil }); err != nil {
			return c, fmt.Errorf("cannot make port %s: %w", after.Name, err)
		}
		row, there := c.ports[after.Name]
		if !there || !row.described().ours {
			continue
		}
		_, found, err := among(after.Name, netnsOf(change)...)
		if err != nil {
			return c, err
		}
		if !found {
			ops = append(ops, row.drop(c))
		}
	}
	if len(ops) == 0 {
		return c, nil
	}
	if err := p.configure(ctx, ops, nil); err != nil {
		return c, err
	}
	return p.running(ctx)
}

// drop takes a port from its bridge.
func (r portRow) drop(c configuration) ovsdb.Operation {
	return ovsdb.Mutate("Bridge", ovsdb.Of(c.bridges[r.bridge].id), ovsdb.Mutation{"ports", "delete", ovsdb.Set{r.id}})
}
