package reconciler

import (
	"context"
	"fmt"
	"runtime"

	"github.com/opdbus/opdbus/state"
)

// Prepare replaces what the configuration declares by the objects it comes to, and checks what can only be checked then.
// It reads no live state. The configuration can be prepared once.
func (r *Reconciler) Prepare(ctx context.Context, config *state.Config) state.Diagnostics {
	// Nodes are expanded side by side; what each has to say is kept apart so that the order does not depend on who was first.
	found := make([]state.Diagnostics, len(config.Nodes))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	done := make(chan struct{})
	for i, node := range config.Nodes {
		go func() {
			limit <- struct{}{}
			defer func() { <-limit; done <- struct{}{} }()
			if node.Self == nil {
				return
			}
			for _, kind := range r.Kinds.Expanders(node.Addr) {
				found[i] = append(found[i], kind.Expand(ctx, config, node)...)
			}
		}()
	}
	for range config.Nodes {
		<-done
	}
	var diags state.Diagnostics
	for _, ds := range found {
		diags = append(diags, ds...)
	}
	for _, n := range config.Nodes {
		for i := range n.Objects {
			d := &n.Objects[i]
			if c, ok := d.Object.(state.Checked); ok {
				c.Check(func(attr, summary, detail string) { diags.Errorf(at(d, attr), summary, "%s", detail) })
			}
		}
	}
	diags = append(diags, r.senseless(config)...)
	diags = append(diags, r.leaveOutLive(config)...)
	diags = append(diags, duplicates(config)...)
	diags = append(diags, unknownTriggers(config)...)
	if diags.HasErrors() {
		return diags
	}
	return append(diags, tangled(config)...)
}

// duplicates finds objects that are declared twice, under one address or as one thing on the host.
func duplicates(config *state.Config) state.Diagnostics {
	var diags state.Diagnostics
	count := 0
	for _, n := range config.Nodes {
		count += len(n.Objects)
	}
	things := make(map[string]*state.Declared, count)
	addrs := make(map[state.Addr]*state.Declared, count)
	for _, n := range config.Nodes {
		for i := range n.Objects {
			d := &n.Objects[i]
			if first, ok := addrs[d.Addr]; ok {
				diags.Errorf(d.Source, fmt.Sprintf("Duplicate %s", d.Addr), "It is declared at %s already; give one of the two another name, or remove it.", first.Source)
				continue
			}
			addrs[d.Addr] = d
			t, ok := d.Object.(state.Thing)
			if !ok {
				continue
			}
			thing := t.Thing()
			if first, ok := things[thing]; ok {
				diags.Errorf(d.Source, fmt.Sprintf("Two objects declare the %s", thing),
					"%s declares it here and %s at %s. One thing on the host has one owner: remove one of the two.", d.Addr, first.Addr, first.Source)
				continue
			}
			things[thing] = d
		}
	}
	return diags
}
