package net

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/state"
)

// ports is the provider of ports of Open vSwitch.
type ports struct {
	*vswitch
	connections *connections
}

// Live says that ports are a state of a running switch, for state.Live.
func (*ports) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*ports) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*ports) Overlaps() {}

// Read reads one.
func (p *ports) Read(ctx context.Context, want Port) (*Port, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Port]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all in one transaction.
func (p *ports) ReadAll(ctx context.Context, items []state.Item[Port]) ([]*Port, error) {
	c, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	down := map[string]map[string]bool{} // of links, by their network namespace
	lives := make([]*Port, len(items))
	for i, it := range items {
		row, there := c.ports[it.Want.Name]
		if !there {
			continue
		}
		live := row.described().as(it.Want)
		lives[i] = &live
		if !live.isLink() {
			continue
		}
		some := it.Want.netns()
		live.Down = len(some) > 1 // unless it is found
		for _, netns := range some {
			if down[netns] == nil {
				if down[netns], err = linksDown(netns); err != nil {
					return nil, err
				}
			}
			if is, there := down[netns][live.Name]; there {
				live.Down, live.Netns = is, &netns
				break
			}
		}
	}
	return lives, nil
}

// described is a port as the database has it.
func (r portRow) described() Port {
	p := Port{Name: text(r.Row, "name"), Bridge: r.bridge, Trunks: []int{}}
	kind := "several"
	if len(r.interfaces) == 1 {
		kind = cmp.Or(text(r.interfaces[0], "type"), "system")
		p.Options = ovsdb.Strings(r.interfaces[0]["options"])
	}
	p.Type = &kind
	tag := noTag
	for _, v := range ovsdb.Elements(r.Row["tag"]) {
		tag = int(v.(int64))
	}
	p.Tag = &tag
	for _, v := range ovsdb.Elements(r.Row["trunks"]) {
		p.Trunks = append(p.Trunks, int(v.(int64)))
	}
	_, p.ours = ovsdb.Strings(r.Row["external_ids"])[ownerKey]
	return p
}

// as is a port in the words of what is wanted.
func (p Port) as(want Port) Port {
	live := Port{Name: p.Name, Bridge: p.Bridge, Type: p.Type, ours: p.ours}
	if want.Type == nil && p.kind() == "system" {
		live.Type = nil
	}
	keep(&live.Tag, p.Tag, want.Tag)
	if want.Trunks != nil {
		live.Trunks = p.Trunks
	}
	var former Port
	if want.former != nil {
		former = *want.former
	}
	live.Options = keysOf(p.Options, want.Options, former.Options)
	return live
}

// isLink says whether the switch makes a link for the port on this host.
func (p Port) isLink() bool { return p.kind() == "internal" || p.kind() == "tap" }

// noTag stands for a port without a VLAN of its own.
const noTag = -1

// List is all ports; none where there is no switch.
func (p *ports) List(ctx context.Context) ([]Port, error) {
	c, err := p.read(ctx)
	var all []Port
	for name, row := range c.ports {
		if name != row.bridge {
			all = append(all, row.described())
		}
	}
	slices.SortFunc(all, func(a, b Port) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// Owns says whether the port is opdbus' own.
func (*ports) Owns(made *Port, live Port) bool { return made != nil && live.ours }

// Claim takes no port of somebody else's.
func (*ports) Claim(want, live Port) (Port, error) {
	return want, fmt.Errorf("there is a port %s already, on bridge %s, which opdbus did not make: take it away first, or give yours another name", want.Name, live.Bridge)
}

// PlanAll remembers which keys were opdbus', and refuses links by names that the switch does not know them by.
func (*ports) PlanAll(_ context.Context, items []state.Planned[Port]) error {
	links, err := allLinks()
	if err != nil {
		return err
	}
	for i, it := range items {
		if it.Want != nil && it.Want.kind() == "system" {
			if l := links.named[it.Want.Name]; l != nil && l.Attrs().Name != it.Want.Name {
				return fmt.Errorf("port %s: Open vSwitch knows links by the names of the kernel, which calls that one %s: declare a port of that name", it.Want.Name, l.Attrs().Name)
			}
		}
		if it.Want != nil && it.Made != nil {
			items[i].Want.former = it.Made
			if it.Made.Netns != nil && it.Want.Netns == nil && it.Want.isLink() { // it comes back
				items[i].Want.Netns = new(string)
			}
		}
	}
	return nil
}

// Apply makes one change.
func (p *ports) Apply(ctx context.Context, before, after *Port) error {
	return p.ApplyAll(ctx, state.Site{}, []state.ChangeOf[Port]{{Before: before, After: after}})
}

// ApplyAll makes all changes in one transaction, and waits until ovs-vswitchd has made them.
func (p *ports) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[Port]) error {
	c, err := p.present(ctx, changes)
	if err != nil {
		return err
	}
	var ops []ovsdb.Operation
	var made []string
	for i, change := range changes {
		switch before, after := change.Before, change.After; {
		case after != nil:
			bridge, known := c.bridges[after.Bridge]
			if !known {
				return fmt.Errorf("cannot make port %s: there is no bridge %s in Open vSwitch", after.Name, after.Bridge)
			}
			row, there := c.ports[after.Name]
			switch {
			case !there:
				ops = append(ops, after.insert(i, change.Addr.String(), bridge.id)...)
			case row.described().ours:
				ops = append(ops, after.update(c, row, before)...)
			default:
				return fmt.Errorf("cannot make port %s: there is one on bridge %s that opdbus did not make", after.Name, row.bridge)
			}
			made = append(made, after.Name)
		case before != nil:
			if row, there := c.ports[before.Name]; there && row.described().ours {
				ops = append(ops, row.drop(c))
			}
		}
	}
	if err := p.configure(ctx, ops, made); err != nil {
		return err
	}
	for _, change := range changes {
		before, after := change.Before, change.After
		if after == nil {
			if _, err := abandoned(before.Name, "", netnsOf(change)...); err != nil {
				return fmt.Errorf("cannot delete port %s: %w", before.Name, err)
			}
			continue
		}
		if !after.isLink() {
			continue
		}
		if err := place(after.Name, deref(after.Netns), netnsOf(change)...); err != nil {
			return fmt.Errorf("cannot bring up port %s: %w", after.Name, err)
		}
	}
	return nil
}

// databaseType is the type as the database has it: none for a link that is there.
func (p Port) databaseType() string {
	if p.kind() == "system" {
		return ""
	}
	return p.kind()
}

func (p Port) columns() ovsdb.Row {
	row := ovsdb.Row{}
	if p.Tag != nil {
		row["tag"] = ovsdb.Set{}
		if *p.Tag != noTag {
			row["tag"] = *p.Tag
		}
	}
	if p.Trunks != nil {
		set := ovsdb.Set{}
		for _, n := range p.Trunks {
			set = append(set, n)
		}
		row["trunks"] = set
	}
	return row
}

func (p Port) insert(i int, owner string, bridge ovsdb.UUID) []ovsdb.Operation {
	iface, port := fmt.Sprint("i", i), fmt.Sprint("p", i)
	row := p.columns()
	row["name"], row["interfaces"], row["external_ids"] = p.Name, ovsdb.Set{ovsdb.Named(iface)}, ovsdb.Map{ownerKey: owner}
	return []ovsdb.Operation{
		ovsdb.Insert("Interface", iface, ovsdb.Row{"name": p.Name, "type": p.databaseType(), "options": asMap(p.Options)}),
		ovsdb.Insert("Port", port, row),
		ovsdb.Mutate("Bridge", ovsdb.Of(bridge), ovsdb.Mutation{"ports", "insert", ovsdb.Set{ovsdb.Named(port)}}),
	}
}

// update changes what differs. A port that moves is on one of the two bridges at every moment.
func (p Port) update(c configuration, row portRow, before *Port) []ovsdb.Operation {
	live := row.described()
	var was Port
	if before != nil {
		was = *before
	}
	var ops []ovsdb.Operation
	if row.bridge != p.Bridge {
		ops = append(ops,
			row.drop(c),
			ovsdb.Mutate("Bridge", ovsdb.Of(c.bridges[p.Bridge].id), ovsdb.Mutation{"ports", "insert", ovsdb.Set{row.id}}))
	}
	if columns := p.columns(); len(columns) > 0 && !live.as(p).Same(p) {
		ops = append(ops, ovsdb.Update("Port", ovsdb.Of(row.id), columns))
	}
	for _, i := range row.interfaces {
		where := ovsdb.Of(uuid(i))
		if live.kind() != p.kind() {
			ops = append(ops, ovsdb.Update("Interface", where, ovsdb.Row{"type": p.databaseType()}))
		}
		if changes := mapChanges("options", live.Options, p.Options, was.Options); len(changes) > 0 {
			ops = append(ops, ovsdb.Mutate("Interface", where, changes...))
		}
	}
	return ops
}
