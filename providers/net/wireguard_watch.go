package net

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// askEvery is how often interfaces are asked: the kernel tells of links, and WireGuard tells nobody of its peers.
const askEvery = 5 * time.Second

// Watch hears of links, and asks for what else there is of them.
func (p *wireguards) Watch(ctx context.Context, items []state.Item[WireGuard], tell func([]state.Addr, error)) error {
	news, err := watch.Kernel(ctx, unix.RTNLGRP_LINK)
	if err != nil {
		return err
	}
	known, err := p.ReadAll(ctx, items)
	if err != nil {
		return err
	}
	go func() {
		ticks := time.NewTicker(askEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			case err := <-news:
				if err != nil {
					tell(nil, err)
					return
				}
			}
			now, err := p.ReadAll(ctx, items)
			if ctx.Err() != nil {
				return
			}
			var named []state.Addr
			for i, it := range items {
				if err != nil || (now[i] == nil) != (known[i] == nil) || now[i] != nil && !now[i].Same(*known[i]) {
					named = append(named, it.Addr) // who cannot be asked is looked at by who is told, and says why
				}
			}
			if err == nil {
				known = now
			}
			if len(named) > 0 {
				tell(named, nil)
			}
		}
	}()
	return nil
}
