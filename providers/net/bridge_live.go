package net

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
	"github.com/opdbus/opdbus/state"
)

// bridges is the provider of bridges of Open vSwitch.
type bridges struct {
	*vswitch
	connections *connections
}

// Live says that bridges are a state of a running switch, for state.Live.
func (*bridges) Live() {}

// Volatile says that they go when the host boots, for state.Volatile.
func (*bridges) Volatile() {}

// Overlaps says that what goes, goes last, for state.Overlapping.
func (*bridges) Overlaps() {}

// Read reads one.
func (p *bridges) Read(ctx context.Context, want Bridge) (*Bridge, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Bridge]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all in one transaction.
func (p *bridges) ReadAll(ctx context.Context, items []state.Item[Bridge]) ([]*Bridge, error) {
	c, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	down, err := linksDown("")
	if err != nil {
		return nil, err
	}
	lives := make([]*Bridge, len(items))
	for i, it := range items {
		if row, there := c.bridges[it.Want.Name]; there {
			live := row.described().as(it.Want)
			live.Down = down[live.Name]
			lives[i] = &live
		}
	}
	return lives, nil
}

// described is a bridge as the database has it.
func (r bridgeRow) described() Bridge {
	datapath, mode, stp, target := text(r.Row, "datapath_type"), text(r.Row, "fail_mode"), r.Row["stp_enable"] == true, ""
	if len(r.controller) > 0 {
		target = r.controller[0]
	}
	b := Bridge{Name: text(r.Row, "name"), DatapathType: &datapath, FailMode: &mode, STP: &stp, Controller: &target, Protocols: []string{},
		ExternalIDs: ovsdb.Strings(r.Row["external_ids"]), OtherConfig: ovsdb.Strings(r.Row["other_config"])}
	for _, v := range ovsdb.Elements(r.Row["protocols"]) {
		b.Protocols = append(b.Protocols, v.(string))
	}
	_, b.ours = b.ExternalIDs[ownerKey]
	return b
}

// as is a bridge in the words of what is wanted.
func (b Bridge) as(want Bridge) Bridge {
	live := Bridge{Name: b.Name, ours: b.ours}
	keep(&live.DatapathType, b.DatapathType, want.DatapathType)
	keep(&live.FailMode, b.FailMode, want.FailMode)
	keep(&live.STP, b.STP, want.STP)
	keep(&live.Controller, b.Controller, want.Controller)
	if want.Protocols != nil {
		live.Protocols = b.Protocols
	}
	var former Bridge
	if want.former != nil {
		former = *want.former
	}
	live.ExternalIDs = keysOf(b.ExternalIDs, want.ExternalIDs, former.ExternalIDs)
	live.OtherConfig = keysOf(b.OtherConfig, want.OtherConfig, former.OtherConfig)
	return live
}

// List is all bridges; none where there is no switch.
func (p *bridges) List(ctx context.Context) ([]Bridge, error) {
	c, err := p.read(ctx)
	var all []Bridge
	for _, row := range c.bridges {
		all = append(all, row.described())
	}
	slices.SortFunc(all, func(a, b Bridge) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// Owns says whether the bridge is opdbus' own.
func (*bridges) Owns(made *Bridge, live Bridge) bool { return made != nil && live.ours }

// Claim takes no bridge of somebody else's.
func (*bridges) Claim(want, _ Bridge) (Bridge, error) {
	return want, fmt.Errorf("there is a bridge %s already, which opdbus did not make: give yours another name; ports may be declared on that one without declaring it", want.Name)
}

// PlanAll remembers which keys were opdbus'.
func (*bridges) PlanAll(_ context.Context, items []state.Planned[Bridge]) error {
	for i, it := range items {
		if it.Want != nil && it.Made != nil {
			items[i].Want.former = it.Made
		}
	}
	return nil
}

// Apply makes one change.
func (p *bridges) Apply(ctx context.Context, before, after *Bridge) error {
	return p.ApplyAll(ctx, state.Site{}, []state.ChangeOf[Bridge]{{Before: before, After: after}})
}

// ApplyAll makes all changes in one transaction, and waits until ovs-vswitchd has made them.
func (p *bridges) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[Bridge]) error {
	c, err := p.running(ctx)
	if err != nil {
		return err
	}
	var ops []ovsdb.Operation
	var made, emptied []string
	for i, change := range changes {
		switch before, after := change.Before, change.After; {
		case after != nil:
			row, there := c.bridges[after.Name]
			if !there {
				ops = append(ops, after.insert(i, change.Addr.String())...)
			} else if live := row.described(); live.ours {
				ops = append(ops, after.update(row, live, before)...)
				if after.FailMode != nil && *after.FailMode != *live.FailMode {
					emptied = append(emptied, after.Name)
				}
			} else {
				return fmt.Errorf("cannot make bridge %s: there is one that opdbus did not make", after.Name)
			}
			made = append(made, after.Name)
		case before != nil:
			row, there := c.bridges[before.Name]
			if !there || !row.described().ours {
				continue
			}
			if theirs := c.theirs(before.Name); len(theirs) > 0 {
				return fmt.Errorf("cannot delete bridge %s: it has ports that opdbus did not make: %v; take them away first", before.Name, theirs)
			}
			ops = append(ops, ovsdb.Mutate("Open_vSwitch", ovsdb.Every(), ovsdb.Mutation{"bridges", "delete", ovsdb.Set{row.id}}))
		}
	}
	return p.keepingFlows(ctx, emptied, func() error {
		if err := p.configure(ctx, ops, made); err != nil {
			return err
		}
		for _, name := range made {
			if err := place(name, ""); err != nil {
				return fmt.Errorf("cannot bring up bridge %s: %w", name, err)
			}
		}
		return nil
	})
}

// theirs are the ports on a bridge that somebody else has put there.
func (c configuration) theirs(bridge string) (names []string) {
	for name, row := range c.ports {
		if _, ours := ovsdb.Strings(row.Row["external_ids"])[ownerKey]; row.bridge == bridge && name != bridge && !ours {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// insert makes the bridge with its own port, which is a link of the host's.
func (b Bridge) insert(i int, owner string) []ovsdb.Operation {
	iface, port, bridge := fmt.Sprint("i", i), fmt.Sprint("p", i), fmt.Sprint("b", i)
	row := b.columns()
	ids := ovsdb.Map{ownerKey: owner}
	for key, value := range b.ExternalIDs {
		ids[key] = value
	}
	row["name"], row["ports"], row["external_ids"] = b.Name, ovsdb.Set{ovsdb.Named(port)}, ids
	if b.OtherConfig != nil {
		row["other_config"] = asMap(b.OtherConfig)
	}
	ops := []ovsdb.Operation{
		ovsdb.Insert("Interface", iface, ovsdb.Row{"name": b.Name, "type": "internal"}),
		ovsdb.Insert("Port", port, ovsdb.Row{"name": b.Name, "interfaces": ovsdb.Set{ovsdb.Named(iface)}}),
	}
	if target := deref(b.Controller); target != "" {
		ops = append(ops, ovsdb.Insert("Controller", bridge+"c", ovsdb.Row{"target": target}))
		row["controller"] = ovsdb.Set{ovsdb.Named(bridge + "c")}
	}
	return append(ops, ovsdb.Insert("Bridge", bridge, row),
		ovsdb.Mutate("Open_vSwitch", ovsdb.Every(), ovsdb.Mutation{"bridges", "insert", ovsdb.Set{ovsdb.Named(bridge)}}))
}

// columns are those with one value each.
func (b Bridge) columns() ovsdb.Row {
	row := ovsdb.Row{}
	if b.DatapathType != nil {
		row["datapath_type"] = *b.DatapathType
	}
	if b.FailMode != nil {
		row["fail_mode"] = ovsdb.Set{}
		if *b.FailMode != "" {
			row["fail_mode"] = *b.FailMode
		}
	}
	if b.STP != nil {
		row["stp_enable"] = *b.STP
	}
	if b.Protocols != nil {
		set := ovsdb.Set{}
		for _, p := range b.Protocols {
			set = append(set, p)
		}
		row["protocols"] = set
	}
	return row
}

// update changes what differs, unless somebody has changed the row since it was read. Of maps, the keys that were opdbus' go.
func (b Bridge) update(row bridgeRow, live Bridge, before *Bridge) []ovsdb.Operation {
	where := ovsdb.Of(row.id)
	var was Bridge
	if before != nil {
		was = *before
	}
	columns := b.columns()
	var ops []ovsdb.Operation
	var mutations []ovsdb.Mutation
	for column, maps := range map[string][3]map[string]string{
		"external_ids": {live.ExternalIDs, b.ExternalIDs, was.ExternalIDs}, "other_config": {live.OtherConfig, b.OtherConfig, was.OtherConfig},
	} {
		mutations = append(mutations, mapChanges(column, maps[0], maps[1], maps[2])...)
	}
	if b.Controller != nil && deref(live.Controller) != *b.Controller {
		columns["controller"] = ovsdb.Set{}
		if *b.Controller != "" {
			name := "c" + fmt.Sprintf("%x", b.Name)
			ops = append(ops, ovsdb.Insert("Controller", name, ovsdb.Row{"target": *b.Controller}))
			columns["controller"] = ovsdb.Set{ovsdb.Named(name)}
		}
	}
	if live.as(b).Same(b) && len(mutations) == 0 {
		return nil
	}
	if len(columns) > 0 {
		ops = append(ops, ovsdb.Update("Bridge", where, columns))
	}
	if len(mutations) > 0 {
		ops = append(ops, ovsdb.Mutate("Bridge", where, mutations...))
	}
	return ops
}
