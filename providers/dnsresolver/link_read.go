package dnsresolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// linkDir has a file for each link that resolved has been told something of. What is in it is resolved's own; that it is there, is not.
const linkDir = "/run/systemd/resolve/netif"

// links is the provider of links.
type links struct{ resolved resolved }

// Live says that what resolved is told of links is its state, for state.Live.
func (*links) Live() {}

// Read reads one link.
func (p *links) Read(ctx context.Context, want Link) (*Link, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Link]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads the links by one call each; all of them have one name for each interface, which costs one look at these.
func (p *links) ReadAll(ctx context.Context, items []state.Item[Link]) ([]*Link, error) {
	numbers, err := interfaces()
	if err != nil {
		return nil, err
	}
	lives := make([]*Link, len(items))
	for i, it := range items {
		number, there := numbers[it.Want.Name]
		if !there {
			continue
		}
		all, err := p.read(ctx, number, it.Want)
		if err != nil {
			return nil, fmt.Errorf("cannot read link %s: %w", it.Want.Name, err)
		}
		if all == nil {
			continue
		}
		live := all.managed(it.Want)
		live.Found, live.set = it.Want.Found, all.set
		// Where nothing has been set, there is nothing, unless that is what is wanted.
		if live.set || live.Same(it.Want) {
			lives[i] = &live
		}
	}
	return lives, nil
}

// interfaces are the numbers of the network interfaces that there are.
func interfaces() (map[string]int, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	numbers := make(map[string]int, len(all))
	for _, i := range all {
		numbers[i.Name] = i.Index
	}
	return numbers, nil
}

// objectPath is a link's path on the bus (bus_label_escape): a digit at the beginning is escaped.
func objectPath(number int) dbus.ObjectPath {
	digits := strconv.Itoa(number)
	return dbus.ObjectPath(fmt.Sprintf("%s/link/_%02x%s", managerPath, digits[0], digits[1:]))
}

// read reads all of a link, in the words of what is wanted; nil where resolved does not run or does not know it.
func (p *links) read(ctx context.Context, number int, want Link) (*Link, error) {
	all, err := p.resolved.properties(ctx, objectPath(number), linkFace)
	var e *sysbus.Error
	if errors.As(err, &e) && (e.Absent() || e.Name == service+".NoSuchLink") || err == nil && all == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var addresses []address
	var domains []domain
	live := Link{Name: want.Name, DefaultRoute: new(bool)}
	for _, p := range []struct {
		name string
		into any
	}{{"DNSEx", &addresses}, {"Domains", &domains}, {"DefaultRoute", live.DefaultRoute}} {
		if err := all[p.name].Store(p.into); err != nil {
			return nil, fmt.Errorf("resolved tells %s otherwise than it should: %w", p.name, err)
		}
	}
	for _, w := range live.words() {
		text, ok := all[w.property].Value().(string)
		if !ok {
			return nil, fmt.Errorf("resolved does not tell %s", w.property)
		}
		*w.value = &text
	}
	servers := make([]server, len(addresses))
	for i, a := range addresses {
		if servers[i], err = a.server(); err != nil {
			return nil, err
		}
	}
	live.Servers, live.Domains = asWanted(want.Servers, servers, parseServer), asWanted(want.Domains, domains, parseDomain)
	_, err = os.Lstat(linkDir + "/" + strconv.Itoa(number))
	live.set = err == nil || len(servers) > 0 || len(domains) > 0
	return &live, nil
}

// List is the links of which resolved has been told something.
func (p *links) List(ctx context.Context) ([]Link, error) {
	numbers, err := interfaces()
	if err != nil {
		return nil, err
	}
	var all []Link
	for name, number := range numbers {
		live, err := p.read(ctx, number, Link{Name: name})
		if err != nil {
			return nil, fmt.Errorf("cannot read link %s: %w", name, err)
		}
		if live != nil && live.set {
			live.set = false
			all = append(all, *live)
		}
	}
	slices.SortFunc(all, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Owns says whether what is set is opdbus' own: anything but what it found.
func (*links) Owns(made *Link, live Link) bool {
	if made == nil {
		return false
	}
	if made.Found == nil {
		return live.set
	}
	return !live.managed(*made.Found).Same(*made.Found)
}

// Claim keeps what is found.
func (*links) Claim(want, live Link) (Link, error) {
	found := live.managed(want)
	want.Found = &found
	return want, nil
}

// PlanAll keeps what was found, and adds to it what is managed from now on.
func (*links) PlanAll(_ context.Context, items []state.Planned[Link]) error {
	for i, it := range items {
		if it.Want == nil || it.Made == nil || it.Made.Found == nil {
			continue
		}
		items[i].Want.Found = it.Made.Found
		if it.Live != nil {
			found := it.Made.Found.with(*it.Live, *it.Want)
			items[i].Want.Found = &found
		}
	}
	return nil
}

// Disturbs says whose look-ups change.
func (*links) Disturbs(before, after *Link) []string {
	name := ""
	if before != nil {
		name = before.Name
	}
	if after != nil {
		name = after.Name
	}
	return []string{"changes where names are looked up over " + name}
}
