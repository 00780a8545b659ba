package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
)

// Apply tells resolved what differs. What goes is set to what was found, or set back where nothing had been set.
func (p *links) Apply(ctx context.Context, before, after *Link) error {
	if before == nil && after == nil {
		return nil
	}
	of := after
	if of == nil {
		of = before
	}
	numbers, err := interfaces()
	if err != nil {
		return err
	}
	number, there := numbers[of.Name]
	switch {
	case there:
	case after == nil: // and all that was set has gone with it
		return nil
	default:
		return fmt.Errorf("cannot set the resolver of link %s: there is no such network interface", of.Name)
	}
	switch {
	case after != nil:
		err = p.set(ctx, number, *after)
	case before.Found != nil:
		err = p.set(ctx, number, *before.Found)
	default:
		err = p.clear(ctx, number, *before)
	}
	if err != nil {
		return fmt.Errorf("cannot set the resolver of link %s: %w", of.Name, managedBy(err, of.Name))
	}
	return nil
}

// managedBy says what to do about a link that is not resolved's to be told of.
func managedBy(err error, link string) error {
	var e *sysbus.Error
	if errors.As(err, &e) && e.Name == service+".LinkBusy" {
		return fmt.Errorf("%w; systemd-networkd manages it: set DNS= and Domains= in the .network file of %s", err, link)
	}
	return err
}

// set makes a link be as target in all that target sets.
func (p *links) set(ctx context.Context, number int, target Link) error {
	live, err := p.read(ctx, number, target)
	if err != nil {
		return err
	}
	if live == nil { // resolved does not run, and is started by being told
		live = &Link{Name: target.Name}
	}
	link := int32(number)
	if target.Servers != nil && !sameList(target.Servers, live.Servers) {
		if err := p.setServers(ctx, link, target.Servers); err != nil {
			return err
		}
	}
	if target.Domains != nil && !sameList(target.Domains, live.Domains) {
		if err := p.setDomains(ctx, link, target.Domains); err != nil {
			return err
		}
	}
	if target.DefaultRoute != nil && !same(target.DefaultRoute, live.DefaultRoute) {
		if err := p.resolved.call(ctx, "SetLinkDefaultRoute", []any{link, *target.DefaultRoute}); err != nil {
			return err
		}
	}
	is := live.words()
	for i, w := range target.words() {
		if *w.value == nil || same(*w.value, *is[i].value) {
			continue
		}
		if err := p.resolved.call(ctx, w.method, []any{link, **w.value}); err != nil {
			return err
		}
	}
	return nil
}

func (p *links) setServers(ctx context.Context, link int32, list []string) error {
	addresses := make([]address, len(list))
	for i, text := range list {
		s, err := parseServer(text)
		if err != nil {
			return err
		}
		addresses[i] = s.onBus()
	}
	return p.resolved.call(ctx, "SetLinkDNSEx", []any{link, addresses})
}

func (p *links) setDomains(ctx context.Context, link int32, list []string) error {
	domains := make([]domain, len(list))
	for i, text := range list {
		d, err := parseDomain(text)
		if err != nil {
			return err
		}
		domains[i] = d
	}
	return p.resolved.call(ctx, "SetLinkDomains", []any{link, domains})
}

// clear sets back what made has set. What others have set of the link stays.
func (p *links) clear(ctx context.Context, number int, made Link) error {
	link := int32(number)
	if made.Servers != nil {
		if err := p.setServers(ctx, link, nil); err != nil {
			return err
		}
	}
	if made.Domains != nil {
		if err := p.setDomains(ctx, link, nil); err != nil {
			return err
		}
	}
	for _, w := range made.words() {
		if *w.value != nil {
			if err := p.resolved.call(ctx, w.method, []any{link, ""}); err != nil {
				return err
			}
		}
	}
	live, err := p.read(ctx, number, Link{Name: made.Name})
	if err != nil || live == nil || !live.set || made.DefaultRoute == nil { // what is set still is theirs
		return err
	}
	others := live.others(made)
	if len(others.Servers) > 0 || len(others.Domains) > 0 {
		// Only RevertLink sets it back, and with it what is theirs. This is what it is where it has not been set (resolved.conf(5)).
		searches := !slices.ContainsFunc(live.Domains, func(d string) bool { return d[0] == '~' })
		return p.resolved.call(ctx, "SetLinkDefaultRoute", []any{link, searches})
	}
	if err := p.resolved.call(ctx, "RevertLink", []any{link}); err != nil {
		return err
	}
	return p.set(ctx, number, others)
}

// others is what of l is not made's.
func (l Link) others(made Link) Link {
	o := l
	if made.Servers != nil {
		o.Servers = nil
	}
	if made.Domains != nil {
		o.Domains = nil
	}
	if made.DefaultRoute != nil {
		o.DefaultRoute = nil
	}
	to := o.words()
	for i, w := range made.words() {
		if *w.value != nil {
			*to[i].value = nil
		}
	}
	return o
}
