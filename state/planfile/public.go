package planfile

import (
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// public is what may be shown of a plan, by anybody who has the file: what is sensitive is masked, and what no plan shows is
// not there at all, as checks' commands, what the ledger is to have, and where on the machine the configuration is.
func public(p *state.Plan, key []byte) (*state.Plan, error) {
	out := &state.Plan{Host: p.Host, Hostname: p.Hostname, Config: p.Config, Commit: p.Commit, OnFailure: p.OnFailure, Rollback: p.Rollback, Triggers: p.Triggers,
		Run: p.Run, Unchanged: p.Unchanged, Retention: p.Retention}
	place := func(r state.Range) state.Range {
		if !r.IsZero() {
			r.File = r.Relative(p.Dir)
		}
		return r
	}
	var err error
	for _, n := range p.Nodes {
		shown := &state.NodePlan{Addr: n.Addr, DependsOn: n.DependsOn, After: n.After, Delete: n.Delete, TakesBack: n.TakesBack,
			Disturbs: n.Disturbs, Endangers: n.Endangers, Protected: n.Protected, Source: place(n.Source)}
		if n.Back != nil {
			shown.Back = &state.Back{Snapshot: n.Back.Snapshot, Steps: n.Back.Steps}
		}
		if shown.Changes, err = masked(n.Changes, key, place); err != nil {
			return nil, err
		}
		out.Nodes = append(out.Nodes, shown)
	}
	if out.Drifted, err = masked(p.Drifted, key, place); err != nil {
		return nil, err
	}
	for _, s := range p.Skipped {
		s.Source = place(s.Source)
		out.Skipped = append(out.Skipped, s)
	}
	for _, o := range p.Outputs {
		o.Source = place(o.Source)
		if o.Sensitive {
			o.Type = nil
		}
		if o.Value, err = state.MaskedValue(o.Value, o.Sensitive, key); err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		out.Outputs = append(out.Outputs, o)
	}
	return out, nil
}

// masked are changes with what is sensitive in their objects masked.
func masked(changes []state.Change, key []byte, place func(state.Range) state.Range) ([]state.Change, error) {
	var out []state.Change
	for _, c := range changes {
		c.Source = place(c.Source)
		// Masked objects are compared as they are written, where those of a kind may be equal that are written differently.
		if len(c.Sensitive) > 0 && !c.Replace && state.Same(c.Before, c.After) {
			c.Before = c.After
		}
		for _, o := range []*state.Object{&c.Before, &c.After, &c.Made} {
			if *o == nil || len(c.Sensitive) == 0 {
				continue
			}
			written, err := state.MaskedObject(*o, c.Sensitive, key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Addr, err)
			}
			*o = state.Raw{Name: (*o).Key(), JSON: written}
		}
		out = append(out, c)
	}
	return out, nil
}
