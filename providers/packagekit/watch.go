package packagekit

import (
	"context"
	"sync"
	"time"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// Watch hears of what happens to packages: dpkg writes its status file anew at the end of whatever it does, and PackageKit tells when
// there are other versions to be had, for those that are to be the latest.
func (p *packages) Watch(ctx context.Context, items []state.Item[Package], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	var latests []state.Addr
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: dpkgDir + "/status"})
		if it.Want.Ensure == latest {
			latests = append(latests, it.Addr)
		}
	}
	tell = oneByOne(tell)
	if err := watch.Paths(ctx, p.fs.Root, paths, tell); err != nil {
		return err
	}
	return p.kit.hear(ctx, "UpdatesChanged", latests, tell)
}

// Watch hears of what happens to repositories: to their files, and what PackageKit tells.
func (p *repositories) Watch(ctx context.Context, items []state.Item[Repository], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	var addrs []state.Addr
	for _, it := range items {
		addrs = append(addrs, it.Addr)
		if f := fileOf(it.Want.ID); f != "" {
			paths = append(paths, watch.Path{Addr: it.Addr, Path: f})
		}
	}
	tell = oneByOne(tell)
	if err := watch.Paths(ctx, p.fs.Root, paths, tell); err != nil {
		return err
	}
	return p.kit.hear(ctx, "RepoListChanged", addrs, tell)
}

// oneByOne has no two tell at once.
func oneByOne(tell func([]state.Addr, error)) func([]state.Addr, error) {
	var mu sync.Mutex
	return func(named []state.Addr, err error) {
		mu.Lock()
		defer mu.Unlock()
		tell(named, err)
	}
}

// again is how long it takes until a bus that has gone is looked for again.
const again = 2 * time.Second

// hear names the addresses at each signal, until ctx ends. PackageKit is not started for this. When the bus goes, what was not heard
// meanwhile may be anything.
func (k packageKit) hear(ctx context.Context, member string, addrs []state.Addr, tell func([]state.Addr, error)) error {
	if len(addrs) == 0 {
		return nil
	}
	subscribe := func() (*sysbus.Subscription, error) {
		return k.bus.Subscribe(ctx, sysbus.Match{Sender: service, Path: object, Interface: service, Member: member})
	}
	signals, err := subscribe()
	if err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			k.listen(ctx, signals, addrs, tell)
			for signals = nil; signals == nil && ctx.Err() == nil; {
				select {
				case <-ctx.Done():
				case <-time.After(again):
					var err error
					if signals, err = subscribe(); err == nil {
						tell(addrs, nil)
					}
				}
			}
		}
		if signals != nil {
			signals.Close()
		}
	}()
	return nil
}

// listen tells until the subscription or ctx ends.
func (k packageKit) listen(ctx context.Context, signals *sysbus.Subscription, addrs []state.Addr, tell func([]state.Addr, error)) {
	for {
		select {
		case <-ctx.Done():
			signals.Close()
			return
		case _, open := <-signals.C:
			if !open {
				return
			}
			tell(addrs, nil)
		}
	}
}
