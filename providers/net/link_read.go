package net

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/opdbus/opdbus/state"
)

// links is the provider of links.
type links struct {
	connections *connections
	*vswitch
}

// Live says that links are a state of the running kernel, for state.Live.
func (*links) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*links) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*links) Overlaps() {}

// mark is the alias of links that opdbus made (ip-link(8)).
const mark = "opdbus"

func isMark(alias string) bool { return alias == mark }

// Read reads one.
func (p *links) Read(ctx context.Context, want Link) (*Link, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Link]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by one dump.
func (p *links) ReadAll(_ context.Context, items []state.Item[Link]) ([]*Link, error) {
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	lives := make([]*Link, len(items))
	for i, it := range items {
		from, err := it.Want.locate(all)
		if err != nil {
			return nil, err
		}
		if from != nil {
			live := as(from, all, it.Want)
			if from.Attrs().NetNsID >= 0 { // the other end is in a namespace where it may have any name
				live.Peer = it.Want.Peer
			}
			if live.Unnamed = !slices.Contains(names(from), it.Want.Name); live.Unnamed {
				if holder := all.named[it.Want.Name]; holder != nil {
					live.taken = holder.Attrs().Name
				}
			}
			lives[i] = &live
		}
	}
	return lives, nil
}

// as is a link in the words of what is wanted.
func as(from netlink.Link, all table, want Link) Link {
	l := described(from, all)
	live := l.managed(want)
	live.Name, live.Match = want.Name, want.Match
	live.Master, live.Parent, live.Peer = all.as(live.Master, want.Master), all.as(live.Parent, want.Parent), all.as(live.Peer, want.Peer)
	if want.Kind == existing {
		live.Kind = existing
	}
	live.ours, live.Found = l.ours, want.Found
	live.Networkd = want.Networkd || want.marked && !l.ours
	return live
}

// List is all links.
func (p *links) List(context.Context) ([]Link, error) {
	all, err := allLinks()
	if err != nil {
		return nil, err
	}
	var found []Link
	for _, l := range all.numbered {
		found = append(found, described(l, all))
	}
	slices.SortFunc(found, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// Owns says whether a link is opdbus' own: it made it or, where it did not, it is no longer what was found.
func (*links) Owns(made *Link, live Link) bool {
	switch {
	case made == nil:
		return false
	case made.Kind == existing:
		return made.Found != nil && !live.managed(*made.Found).Same(*made.Found)
	}
	return live.own(made)
}

// Claim keeps what is found where opdbus is not to make the link.
func (*links) Claim(want, live Link) (Link, error) {
	if want.Kind != existing {
		return want, fmt.Errorf("there is a link %s already, of kind %s, which opdbus did not make: give yours another name, or declare that one with kind = %q", want.Name, live.Kind, existing)
	}
	found := live.managed(want)
	want.Found = &found
	return want, nil
}

// PlanAll keeps what was found, with what is managed from now on, and refuses what cannot become of a link.
func (*links) PlanAll(_ context.Context, items []state.Planned[Link]) error {
	for i, it := range items {
		if it.Want == nil {
			continue
		}
		items[i].Want.marked = it.Made != nil && it.Made.Networkd && !it.Want.Networkd
		if it.Live != nil && it.Live.own(it.Made) && !it.Live.alike(*it.Want) {
			return fmt.Errorf("link %s is there, and what it is made with cannot be changed: that would take its addresses and routes, and what others have put on it. Give the new one another name, or take this one out of the configuration, apply, and put it back", it.Want.Name)
		}
		if it.Live != nil && it.Live.taken != "" {
			return fmt.Errorf("link %s: another link than the one that it matches has the name, %s: give yours another name, or take it out of the configuration, apply, and put it back", it.Want.Name, it.Live.taken)
		}
		if it.Want.Kind != existing || it.Made == nil || it.Made.Found == nil {
			continue
		}
		found := *it.Made.Found
		if it.Live != nil {
			found = it.Live.managed(*it.Want)
			found.overlay(*it.Made.Found)
			found.Unnamed = found.Unnamed || it.Made.Found.Unnamed
		}
		items[i].Want.Found = &found
	}
	return nil
}

// overlay takes over what is set in o and in l.
func (l *Link) overlay(o Link) {
	over(&l.Master, o.Master)
	over(&l.MTU, o.MTU)
	over(&l.MAC, o.MAC)
	over(&l.Up, o.Up)
}

func over[T any](to **T, from *T) {
	if *to != nil && from != nil {
		*to = from
	}
}

// Disturbs says what goes with a link.
func (*links) Disturbs(before, after *Link) []string {
	switch {
	case before == nil:
		return nil
	case after == nil && before.Kind != existing:
		return []string{"takes everything on link " + before.Name + " with it"}
	case after != nil && deref(before.Up) && after.Up != nil && !*after.Up:
		return []string{"cuts what goes over link " + before.Name}
	}
	return nil
}
