package openflow

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// Expand makes each flow of a bridge an object of its own, and adds those of its security profile: a plan shows them all. What others have
// on the bridge goes after the flows are there.
func (*bridges) Expand(_ context.Context, _ *state.Config, node *state.Node, _ Bridge) state.Diagnostics {
	var diags state.Diagnostics
	var all []state.Declared
	for _, d := range node.Objects {
		b, is := d.Object.(Bridge)
		if !is {
			all = append(all, d)
			continue
		}
		of := flowsOf(b, d)
		diags = append(diags, twice(of)...)
		diags = append(diags, untracked(of)...)
		b.Flows = nil
		d.Object = b
		all = append(append(all, of...), d)
	}
	node.Objects = all
	return diags
}

// flowsOf are a bridge's flows: those declared, in their order, and those of its profile.
func flowsOf(b Bridge, d state.Declared) []state.Declared {
	var all []state.Declared
	add := func(f Flow, source state.Range, attr func(string) state.Range) {
		f.Bridge, f.takes = b.Name, b.Exclusive
		at := state.Addr{Node: d.Addr.Node, Kind: "flow", Key: f.Name}
		all = append(all, state.Declared{Addr: at, Object: f, Sensitive: d.Sensitive, Source: source, Attr: attr})
	}
	for _, is := range b.Flows {
		f := Flow{Name: b.Name + " " + is.Name, Table: is.Table, Priority: defaultPriority, Match: map[string]string{}, Actions: is.Actions,
			CookieNote: is.CookieNote, IdleTimeout: is.IdleTimeout, HardTimeout: is.HardTimeout}
		if is.Priority != nil {
			f.Priority = *is.Priority
		}
		for field, value := range is.Match {
			if isProtocol(field) && value == "true" {
				value = ""
			}
			f.Match[field] = value
		}
		add(f, is.source, is.attr)
	}
	profile := profiles()[b.profile()]
	for _, name := range slices.Sorted(maps.Keys(profile)) {
		f := profile[name]
		f.Name = fmt.Sprintf("%s %s/%s", b.Name, b.profile(), name)
		add(f, d.Source, func(string) state.Range { return d.Attr("security_profile") })
	}
	return all
}

// twice finds flows that would stand in one place: a switch keeps the later one only.
func twice(all []state.Declared) state.Diagnostics {
	var diags state.Diagnostics
	first := map[string]state.Declared{}
	for _, d := range all {
		f := d.Object.(Flow)
		at := fmt.Sprint(f.Table, f.Priority, alike(f.Match))
		if other, there := first[at]; there {
			diags.Errorf(d.Source, "Two flows in one place", "%s and %s have the same table, priority and match, of which a switch keeps one. Give them different ones, or make them one flow.", other.Addr, d.Addr)
			continue
		}
		first[at] = d
	}
	return diags
}

// alike is a match with the older names of fields as the newer ones.
func alike(match map[string]string) map[string]string {
	newer := map[string]string{"dl_src": "eth_src", "dl_dst": "eth_dst", "dl_type": "eth_type", "nw_src": "ip_src", "nw_dst": "ip_dst", "nw_proto": "ip_proto"}
	for protocol := range match {
		if isProtocol(protocol) {
			proto := strings.TrimSuffix(protocol, "6")
			newer["tp_src"], newer["tp_dst"] = proto+"_src", proto+"_dst"
		}
	}
	same := make(map[string]string, len(match))
	for field, value := range match {
		if name, old := newer[field]; old {
			field = name
		}
		same[field] = strings.ToLower(value)
	}
	return same
}

// untracked finds flows that ask for the state of a connection where no packet has been looked up: they match none.
func untracked(all []state.Declared) state.Diagnostics {
	tracked := map[string]bool{}
	to := regexp.MustCompile(`\bct\([^)]*\btable=(\d+)`)
	for _, d := range all {
		for _, a := range d.Object.(Flow).Actions {
			for _, m := range to.FindAllStringSubmatch(a, -1) {
				tracked[m[1]] = true
			}
		}
	}
	var diags state.Diagnostics
	for _, d := range all {
		f := d.Object.(Flow)
		if state, asks := f.Match["ct_state"]; asks && !strings.Contains(state, "-trk") && state != "0" && !tracked[fmt.Sprint(f.Table)] {
			diags.Errorf(d.Attr("match"), "Connection not tracked", "%s asks for the state of a connection, which is known only after ct(table=%d), and no flow of the bridge has that action: no packet would match.", d.Addr, f.Table)
		}
	}
	return diags
}
