package dnsresolver

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// lookAgain is how often links are looked at of which nothing was heard: where it is only the order of servers that somebody changes,
// resolved 252 tells nobody.
const lookAgain = 5 * time.Second

// Watch hears of what happens to links: of interfaces that come and go from the kernel (rtnetlink(7)), and of what resolved is told of them
// by its files, as its signals leave most of it out.
func (p *links) Watch(ctx context.Context, items []state.Item[Link], tell func([]state.Addr, error)) error {
	addrs := make([]state.Addr, len(items))
	for i, it := range items {
		addrs[i] = it.Addr
	}
	kernel, err := watch.Kernel(ctx, unix.RTNLGRP_LINK)
	if err != nil {
		return err
	}
	owner, err := p.resolved.ownerNews(ctx)
	if err != nil {
		return err
	}
	files := make(chan error)
	look := func() (context.CancelFunc, error) {
		within, cancel := context.WithCancel(ctx)
		numbers, err := interfaces()
		if err != nil {
			cancel()
			return nil, err
		}
		var paths []watch.Path
		for _, it := range items {
			if number, there := numbers[it.Want.Name]; there {
				paths = append(paths, watch.Path{Addr: it.Addr, Path: linkDir + "/" + strconv.Itoa(number)})
			}
		}
		err = watch.Paths(within, "", paths, func(_ []state.Addr, err error) { // with a root, no link is looked after
			select {
			case files <- err:
			case <-within.Done():
			}
		})
		if err != nil {
			cancel()
		}
		return cancel, err
	}
	stop, err := look()
	if err != nil {
		owner.Close()
		return err
	}
	go func() {
		defer owner.Close()
		defer func() { stop() }()
		again := time.NewTicker(lookAgain)
		defer again.Stop()
		for {
			var err error
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			case err = <-files:
			case err = <-kernel:
				if err == nil { // the same name may be another interface now
					stop()
					var next context.CancelFunc
					if next, err = look(); err == nil {
						stop = next
					}
				}
			case _, open := <-owner.C:
				if !open {
					err = fmt.Errorf("cannot hear what happens to resolved: %w", owner.Err())
				}
			}
			if err != nil {
				tell(nil, err)
				return
			}
			tell(addrs, nil)
		}
	}()
	return nil
}

// Watch hears of what happens to the files that make up the resolver, and to resolved.
func (p *resolvers) Watch(ctx context.Context, items []state.Item[Resolver], tell func([]state.Addr, error)) error {
	var mu sync.Mutex
	quietly := func(named []state.Addr, err error) {
		mu.Lock()
		defer mu.Unlock()
		tell(named, err)
	}
	owner, err := p.resolved.ownerNews(ctx)
	if err != nil {
		return err
	}
	properties, err := p.resolved.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: managerPath, Interface: "org.freedesktop.DBus.Properties", Member: "PropertiesChanged"})
	if err != nil {
		owner.Close()
		return err
	}
	var paths []watch.Path
	addrs := make([]state.Addr, len(items))
	for i, it := range items {
		addrs[i] = it.Addr
		for _, path := range []string{resolvConf, dropIn, "/etc/systemd/resolved.conf"} {
			paths = append(paths, watch.Path{Addr: it.Addr, Path: path})
		}
	}
	if err := watch.Paths(ctx, p.files.FS.Root, paths, quietly); err != nil {
		owner.Close()
		properties.Close()
		return err
	}
	go func() {
		defer owner.Close()
		defer properties.Close()
		for {
			open := true
			select {
			case <-ctx.Done():
				return
			case _, open = <-owner.C:
			case _, open = <-properties.C:
			}
			if !open {
				quietly(nil, fmt.Errorf("cannot hear what happens to resolved: %w", owner.Err()))
				return
			}
			quietly(addrs, nil)
		}
	}()
	return nil
}

// ownerNews hears of resolved being started and stopped.
func (r resolved) ownerNews(ctx context.Context) (*sysbus.Subscription, error) {
	s, err := r.bus.Subscribe(ctx, sysbus.Match{Sender: "org.freedesktop.DBus", Member: "NameOwnerChanged", Arg0: service})
	if err != nil {
		return nil, fmt.Errorf("cannot listen to resolved: %w", err)
	}
	return s, nil
}
