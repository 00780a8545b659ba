package net

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// hear tells of all items whenever the kernel tells something of their kind: one dump says then which of them it was.
func hear[T state.Object](ctx context.Context, items []state.Item[T], tell func([]state.Addr, error), groups ...uint) error {
	news, err := watch.Kernel(ctx, groups...)
	if err != nil {
		return err
	}
	addrs := make([]state.Addr, len(items))
	for i, it := range items {
		addrs[i] = it.Addr
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-news:
				if err != nil {
					tell(nil, err)
					return
				}
				tell(addrs, nil)
			}
		}
	}()
	return nil
}

// Watch hears of links.
func (*links) Watch(ctx context.Context, items []state.Item[Link], tell func([]state.Addr, error)) error {
	return hear(ctx, items, tell, unix.RTNLGRP_LINK)
}

// Watch hears of addresses, and of links, which have names by which addresses are known.
func (*addresses) Watch(ctx context.Context, items []state.Item[Address], tell func([]state.Addr, error)) error {
	return hear(ctx, items, tell, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
}

// Watch hears of routes, and of links: the kernel does not tell of each route that goes with a link.
func (*routes) Watch(ctx context.Context, items []state.Item[Route], tell func([]state.Addr, error)) error {
	return hear(ctx, items, tell, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
}

// Watch hears of rules.
func (*rules) Watch(ctx context.Context, items []state.Item[Rule], tell func([]state.Addr, error)) error {
	return hear(ctx, items, tell, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
}

// hearSwitch tells of all items whenever something changes in the tables of Open vSwitch that say what becomes of bridges and ports. What a
// link is up or down, ovs-vswitchd writes down there.
func hearSwitch[T state.Object](ctx context.Context, v *vswitch, items []state.Item[T], tell func([]state.Addr, error)) error {
	m, err := v.client.Monitor(ctx, ovsdb.Database, map[string][]string{
		"Bridge":    {"name", "ports", "datapath_type", "fail_mode", "protocols", "stp_enable", "controller", "external_ids", "other_config"},
		"Port":      {"name", "interfaces", "tag", "trunks", "external_ids"},
		"Interface": {"name", "type", "options", "error", "ofport", "admin_state"}, "Controller": {"target"},
	})
	if err != nil {
		return err
	}
	addrs := make([]state.Addr, len(items))
	for i, it := range items {
		addrs[i] = it.Addr
	}
	go func() {
		defer m.Close()
		began := false
		err := m.Wait(ctx, func(ovsdb.Tables) bool {
			if began {
				tell(addrs, nil)
			}
			began = true
			return false
		})
		if ctx.Err() == nil {
			tell(nil, err)
		}
	}()
	return nil
}

// Watch hears of bridges.
func (p *bridges) Watch(ctx context.Context, items []state.Item[Bridge], tell func([]state.Addr, error)) error {
	return hearSwitch(ctx, p.vswitch, items, tell)
}

// Watch hears of ports.
func (p *ports) Watch(ctx context.Context, items []state.Item[Port], tell func([]state.Addr, error)) error {
	return hearSwitch(ctx, p.vswitch, items, tell)
}
