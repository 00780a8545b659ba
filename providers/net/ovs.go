package net

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/opdbus/opdbus/providers/internal/ovsdb"
)

// ownerKey is the key in external_ids that says which object of opdbus' a row is.
const ownerKey = "opdbus"

// vswitch is Open vSwitch: the database that configures it (ovs-vswitchd.conf.db(5)).
type vswitch struct {
	client *ovsdb.Client
	dir    string // where its daemon's sockets are
}

// A configuration is what there is of bridges and ports, by their names.
type configuration struct {
	bridges map[string]bridgeRow
	ports   map[string]portRow
}

type bridgeRow struct {
	ovsdb.Row
	id         ovsdb.UUID
	controller []string
}

type portRow struct {
	ovsdb.Row
	id         ovsdb.UUID
	bridge     string
	interfaces []ovsdb.Row
}

// read reads all of it: from the file of the database, where its server does not run; nothing, where there is no database.
func (v *vswitch) read(ctx context.Context) (configuration, error) { return v.ask(ctx, v.client.Query) }

// running reads all of it of the database's server, which has to run.
func (v *vswitch) running(ctx context.Context) (configuration, error) {
	return v.ask(ctx, v.client.Transact)
}

func (v *vswitch) ask(ctx context.Context, ask func(context.Context, string, ...ovsdb.Operation) ([]ovsdb.Result, error)) (configuration, error) {
	every := ovsdb.Every()
	found, err := ask(ctx, ovsdb.Database,
		ovsdb.Select("Bridge", every, "_uuid", "name", "ports", "datapath_type", "fail_mode", "protocols", "stp_enable", "controller", "external_ids", "other_config"),
		ovsdb.Select("Port", every, "_uuid", "name", "interfaces", "tag", "trunks", "external_ids"),
		ovsdb.Select("Interface", every, "_uuid", "name", "type", "options", "error", "ofport"),
		ovsdb.Select("Controller", every, "_uuid", "target"))
	if err != nil {
		return configuration{}, fmt.Errorf("cannot read the configuration of Open vSwitch: %w", err)
	}
	if len(found) == 0 {
		return configuration{}, nil
	}
	targets, interfaces := map[ovsdb.UUID]string{}, map[ovsdb.UUID]ovsdb.Row{}
	for _, r := range found[3].Rows {
		targets[uuid(r)], _ = r["target"].(string)
	}
	for _, r := range found[2].Rows {
		interfaces[uuid(r)] = r
	}
	c := configuration{map[string]bridgeRow{}, map[string]portRow{}}
	on := map[ovsdb.UUID]string{}
	for _, r := range found[0].Rows {
		b := bridgeRow{Row: r, id: uuid(r)}
		for _, id := range ovsdb.Elements(r["controller"]) {
			b.controller = append(b.controller, targets[id.(ovsdb.UUID)])
		}
		for _, id := range ovsdb.Elements(r["ports"]) {
			on[id.(ovsdb.UUID)] = text(r, "name")
		}
		c.bridges[text(r, "name")] = b
	}
	for _, r := range found[1].Rows {
		p := portRow{Row: r, id: uuid(r), bridge: on[uuid(r)]}
		for _, id := range ovsdb.Elements(r["interfaces"]) {
			p.interfaces = append(p.interfaces, interfaces[id.(ovsdb.UUID)])
		}
		c.ports[text(r, "name")] = p
	}
	return c, nil
}

func uuid(r ovsdb.Row) ovsdb.UUID {
	id, _ := r["_uuid"].(ovsdb.UUID)
	return id
}

// text is the value of a column that has one string or none.
func text(r ovsdb.Row, column string) string {
	for _, v := range ovsdb.Elements(r[column]) {
		if s, ok := v.(string); ok {
			return s
		}
	}
	return ""
}

// keysOf are those of a map's keys that are looked after.
func keysOf(live map[string]string, want, former map[string]string) map[string]string {
	if want == nil && former == nil {
		return nil
	}
	kept := maps.Clone(live)
	maps.DeleteFunc(kept, func(key, _ string) bool {
		_, wanted := want[key]
		_, was := former[key]
		return !wanted && !was
	})
	if len(kept) == 0 && want == nil {
		return nil
	}
	return kept
}

func asMap(m map[string]string) ovsdb.Map {
	all := ovsdb.Map{}
	for key, value := range m {
		all[key] = value
	}
	return all
}

// mapChanges sets the keys that are wanted, and takes away those that were opdbus' and are not.
func mapChanges(column string, live, want, was map[string]string) (all []ovsdb.Mutation) {
	var gone ovsdb.Set
	set := ovsdb.Map{}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, there := live[key]; !there || value != want[key] {
			if there {
				gone = append(gone, key) // insert leaves the value of a key that is there
			}
			set[key] = want[key]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		_, wanted := want[key]
		if _, there := live[key]; there && !wanted {
			gone = append(gone, key)
		}
	}
	if len(gone) > 0 {
		all = append(all, ovsdb.Mutation{column, "delete", gone})
	}
	if len(set) > 0 {
		all = append(all, ovsdb.Mutation{column, "insert", set})
	}
	return all
}

// awaitTaken waits until the switch has taken a link that has just been made, where it has a port of that name from before: it writes flags then that
// it has read a moment earlier, by which a link that was brought up in between would be down again. Where the switch does not say, or does not
// take it, the link stays as it is made.
func (v *vswitch) awaitTaken(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	found, err := v.client.Transact(ctx, ovsdb.Database, ovsdb.Select("Port", []ovsdb.Condition{{"name", "==", name}}, "name"))
	if err != nil || len(found[0].Rows) == 0 {
		return
	}
	for ctx.Err() == nil {
		if l, err := find(name); err != nil || l == nil || l.Attrs().Promisc > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// linksDown are the links of a network namespace, and whether they are not up.
func linksDown(netns string) (down map[string]bool, err error) {
	var links table
	err = maybeInside(netns, func() (err error) {
		links, err = allLinks()
		return err
	})
	down = map[string]bool{}
	for name, l := range links.named {
		down[name] = l.Attrs().Flags&net.FlagUp == 0
	}
	return down, err
}

// configure has the operations done and waits until the switch is so. What it could not make, by name, is an error, with what it says.
func (v *vswitch) configure(ctx context.Context, ops []ovsdb.Operation, made []string) error {
	if len(ops) > 0 {
		if _, err := v.client.Configure(ctx, ops...); err != nil {
			return fmt.Errorf("cannot configure Open vSwitch: %w", err)
		}
	}
	if len(made) == 0 {
		return nil
	}
	c, err := v.running(ctx)
	if err != nil {
		return err
	}
	for _, name := range made {
		for _, i := range c.ports[name].interfaces {
			if said := text(i, "error"); said != "" {
				return fmt.Errorf("cannot make port %s: ovs-vswitchd says: %s", name, said)
			}
		}
	}
	return nil
}
