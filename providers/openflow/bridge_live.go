package openflow

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
)

// bridges is the provider of bridges: whether they have flows that are not opdbus'.
type bridges struct{ *vswitch }

// Live says that flows are a state of a running switch, for state.Live.
func (*bridges) Live() {}

// Read reads the flows that are not opdbus', where there are to be none. A bridge that is not there has none.
func (p *bridges) Read(ctx context.Context, want Bridge) (*Bridge, error) {
	known, err := p.bridges(ctx)
	if err != nil {
		return nil, err
	}
	live := want
	live.Foreign = nil
	if b, there := known[want.Name]; there && want.Exclusive {
		all, err := p.dump(ctx, b)
		if err != nil {
			return nil, err
		}
		live.Foreign = foreign(all)
	}
	return &live, nil
}

// Owns says that nothing there is of opdbus' making: the flows are objects of their own. What is no longer declared is forgotten.
func (*bridges) Owns(*Bridge, Bridge) bool { return false }

// Claim takes the bridge as it is wanted.
func (*bridges) Claim(want, _ Bridge) (Bridge, error) { return want, nil }

// Apply takes away the flows that are not opdbus', in one bundle, or puts them back.
func (p *bridges) Apply(ctx context.Context, before, after *Bridge) error {
	want := after
	if want == nil {
		return nil // the flows have gone by themselves
	}
	known, err := p.running(ctx)
	if err != nil {
		return err
	}
	b, there := known[want.Name]
	if !there {
		return fmt.Errorf("there is no bridge %s in Open vSwitch; a network block declares one", want.Name)
	}
	if !want.Exclusive && (before == nil || !before.Exclusive) {
		return nil
	}
	all, err := p.dump(ctx, b)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, text := range want.Foreign {
		kept[text] = true
	}
	var input bytes.Buffer
	for _, f := range all {
		if isForeign(f) && want.Exclusive && !kept[f.text] {
			fmt.Fprintf(&input, "delete_strict cookie=%#x/-1,table=%d,priority=%d,%s\n", f.cookie, f.table, f.priority, f.match)
		}
		delete(kept, f.text)
	}
	for _, text := range slices.Sorted(maps.Keys(kept)) {
		fmt.Fprintf(&input, "add %s\n", text)
	}
	if input.Len() == 0 {
		return nil
	}
	return p.bundle(ctx, b, input.String(), false)
}

// List is all bridges; none where there is no switch.
func (p *bridges) List(ctx context.Context) ([]Bridge, error) {
	known, err := p.bridges(ctx)
	if err != nil {
		return nil, err
	}
	var all []Bridge
	for _, name := range slices.Sorted(maps.Keys(known)) {
		all = append(all, Bridge{Name: name})
	}
	return all, nil
}

// Disturbs says which flows of somebody else's go.
func (*bridges) Disturbs(before, after *Bridge) []string {
	if before == nil || after == nil || len(before.Foreign) <= len(after.Foreign) {
		return nil
	}
	return []string{fmt.Sprintf("takes away %d flows of bridge %s that opdbus did not make", len(before.Foreign)-len(after.Foreign), after.Name)}
}
