package net

import (
	"context"

	"golang.org/x/sys/unix"

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
