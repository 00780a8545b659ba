package planfile

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opdbus/opdbus/state"
)

// An objectReader reads the object that stands at an address.
type objectReader func(state.Addr, json.RawMessage) (state.Object, error)

// toApply reads objects of known kinds only.
func toApply(kinds state.Kinds) objectReader {
	return func(a state.Addr, written json.RawMessage) (state.Object, error) {
		k := kinds.For(a)
		if k == nil {
			return nil, fmt.Errorf("%s is of no kind that this opdbus knows", a)
		}
		return k.Decode(written)
	}
}

// toShow reads every object that is one in JSON.
func toShow(kinds state.Kinds) objectReader {
	return func(a state.Addr, written json.RawMessage) (state.Object, error) {
		if len(written) > 0 && written[0] != '{' && string(written) != "null" {
			return nil, fmt.Errorf("%s is no object", a)
		}
		return kinds.ToShow(a, written), nil
	}
}

// decode reads what encode wrote. The content members that changes are made from are given by change, as numbers.
func decode(data []byte, read objectReader) (*state.Plan, *document, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, nil, err
	}
	p := &state.Plan{
		Host: d.Host, Hostname: d.Hostname, Config: d.Config, Commit: d.Commit, Dir: d.Dir, OnFailure: d.OnFailure, Rollback: d.Rollback, Triggers: d.Triggers,
		Run: d.Run, Unchanged: d.Unchanged, Retention: state.SnapshotSettings(d.Retention),
	}
	seen := map[state.NodeAddr]bool{}
	var err error
	for _, n := range d.Nodes {
		if n.Addr.Type == "" || seen[n.Addr] {
			return nil, nil, fmt.Errorf("the node %q is there twice, or is none", n.Addr)
		}
		seen[n.Addr] = true
		out := &state.NodePlan{Addr: n.Addr, DependsOn: n.DependsOn, After: n.After, Delete: n.Delete, TakesBack: n.TakesBack, Disturbs: n.Disturbs, Endangers: n.Endangers,
			Verify: decodeChecks(n.Verify), Health: decodeChecks(n.Health), Protected: n.Protected, Source: decodeSource(n.Source), Back: n.Back}
		if out.Changes, err = decodeChanges(n.Changes, read); err != nil {
			return nil, nil, err
		}
		p.Nodes = append(p.Nodes, out)
	}
	for _, n := range p.Nodes {
		for _, a := range n.After {
			if !seen[a] {
				return nil, nil, fmt.Errorf("%s comes after %s, which is not there", n.Addr, a)
			}
		}
	}
	if p.Drifted, err = decodeChanges(d.Drifted, read); err != nil {
		return nil, nil, err
	}
	for _, s := range d.Skipped {
		p.Skipped = append(p.Skipped, state.Skipped{Addr: s.Addr, Reason: s.Reason, Source: decodeSource(s.Source), PreventDestroy: s.PreventDestroy})
	}
	for _, o := range d.Outputs {
		p.Outputs = append(p.Outputs, state.Output{Name: o.Name, Value: o.Value, Type: o.Type, Sensitive: o.Sensitive, Description: o.Description, Source: decodeSource(o.Source)})
	}
	for _, v := range d.Variables {
		p.Variables = append(p.Variables, state.Variable{Name: v.Name, Value: v.Value, Sensitive: v.Sensitive, Description: v.Description})
	}
	return p, &d, nil
}

func decodeChanges(changes []change, read objectReader) ([]state.Change, error) {
	var out []state.Change
	for _, c := range changes {
		if c.Addr.IsNode() {
			return nil, errors.New("a change is of no object")
		}
		e := state.Change{Addr: c.Addr, Cause: c.Cause, Forget: c.Forget, Replace: c.Replace, Sensitive: c.Sensitive, Note: c.Note, Source: decodeSource(c.Source),
			Trigger: c.Trigger, TriggeredBy: c.By}
		if c.MadeAt != nil {
			e.MadeAt = *c.MadeAt
		}
		if c.HandsTo != nil {
			e.HandsTo = *c.HandsTo
		}
		for _, o := range []struct {
			written json.RawMessage
			into    *state.Object
		}{{c.Before, &e.Before}, {c.After, &e.After}, {c.Made, &e.Made}} {
			if len(o.written) == 0 {
				continue
			}
			var err error
			if *o.into, err = read(c.Addr, o.written); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

func decodeChecks(checks []check) []state.Check {
	var out []state.Check
	for _, c := range checks {
		c.Check.Source = decodeSource(c.Source)
		out = append(out, c.Check)
	}
	return out
}

func decodeSource(s *source) state.Range {
	if s == nil {
		return state.Range{}
	}
	return state.Range(*s)
}
