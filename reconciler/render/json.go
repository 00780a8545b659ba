package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// JSON writes a plan in the shape of Terraform's plan JSON, version 1.2, with what Terraform has no word for in the
// member opdbus. docs/plan.schema.json is its schema.
// Source: https://developer.hashicorp.com/terraform/internals/json-format
func JSON(w io.Writer, p *state.Plan, o Options) error {
	d := &document{o: o, plan: p, changes: map[state.Addr]*state.Change{}, wanted: map[state.Addr]bool{}, blocks: map[state.NodeAddr]bool{}}
	for _, n := range p.Nodes {
		for i := range n.Changes {
			d.changes[n.Changes[i].Addr] = &n.Changes[i]
		}
	}
	for _, n := range p.Wanted {
		d.wanted[state.Addr{Node: n.Addr}] = true
		d.blocks[state.NodeAddr{Type: n.Addr.Type, Name: n.Addr.Name}] = true
		for _, o := range n.Objects {
			d.wanted[o.Addr] = true
		}
	}
	out, err := d.make()
	if err != nil {
		return fmt.Errorf("cannot write the plan as JSON: %w", err)
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return write(w, cleanJSON(b.Bytes()))
}

// document is a plan's JSON while it is made.
type document struct {
	o       Options
	plan    *state.Plan
	changes map[state.Addr]*state.Change
	// wanted are the nodes and objects that are declared, blocks the nodes without their instances' keys.
	wanted map[state.Addr]bool
	blocks map[state.NodeAddr]bool
}

type planJSON struct {
	FormatVersion   string                `json:"format_version"`
	Applyable       bool                  `json:"applyable"`
	Errored         bool                  `json:"errored"`
	Variables       map[string]valueJSON  `json:"variables,omitempty"`
	PlannedValues   valuesJSON            `json:"planned_values"`
	ResourceDrift   []resourceChange      `json:"resource_drift,omitempty"`
	ResourceChanges []resourceChange      `json:"resource_changes"`
	OutputChanges   map[string]changeJSON `json:"output_changes,omitempty"`
	Configuration   configJSON            `json:"configuration"`
	Opdbus          ownJSON               `json:"opdbus"`
}

type valueJSON struct {
	Value json.RawMessage `json:"value"`
}

type valuesJSON struct {
	Outputs    map[string]outputValue `json:"outputs,omitempty"`
	RootModule struct {
		Resources []resourceValue `json:"resources,omitempty"`
	} `json:"root_module"`
}

type outputValue struct {
	Sensitive bool            `json:"sensitive"`
	Type      json.RawMessage `json:"type,omitempty"`
	Value     json.RawMessage `json:"value"`
}

// A resource is what is said of an object wherever one occurs.
type resource struct {
	Address      string `json:"address"`
	Mode         string `json:"mode"`
	Type         string `json:"type"`
	Name         string `json:"name"`
	Index        string `json:"index"`
	ProviderName string `json:"provider_name"`
}

type resourceValue struct {
	resource
	SchemaVersion   int             `json:"schema_version"`
	Values          any             `json:"values"`
	SensitiveValues map[string]bool `json:"sensitive_values"`
}

func (d *document) make() (*planJSON, error) {
	p := d.plan
	out := &planJSON{FormatVersion: "1.2", Applyable: !p.Empty(), ResourceChanges: []resourceChange{}, Configuration: d.configuration()}
	var err error
	for _, n := range p.Nodes {
		for i := range n.Changes {
			c, err := d.resourceChange(&n.Changes[i])
			if err != nil {
				return nil, err
			}
			out.ResourceChanges = append(out.ResourceChanges, c)
		}
	}
	for i := range p.Drifted {
		c, err := d.resourceChange(&p.Drifted[i])
		if err != nil {
			return nil, err
		}
		c.ActionReason = "" // nobody decided it
		out.ResourceDrift = append(out.ResourceDrift, c)
	}
	if out.PlannedValues.RootModule.Resources, err = d.values(); err != nil {
		return nil, err
	}
	if len(p.Variables) > 0 {
		out.Variables = map[string]valueJSON{}
	}
	for _, v := range p.Variables {
		value, err := state.MaskedValue(v.Value, v.Sensitive, d.o.Key)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		out.Variables[v.Name] = valueJSON{value}
	}
	if len(p.Outputs) > 0 {
		out.PlannedValues.Outputs, out.OutputChanges = map[string]outputValue{}, map[string]changeJSON{}
	}
	for _, o := range p.Outputs {
		value, err := state.MaskedValue(o.Value, o.Sensitive, d.o.Key)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		v := outputValue{Sensitive: o.Sensitive, Value: value}
		if !o.Sensitive {
			v.Type = o.Type
		}
		out.PlannedValues.Outputs[o.Name] = v
		// opdbus keeps no outputs, so that there is nothing they could differ from.
		out.OutputChanges[o.Name] = changeJSON{Actions: []string{"no-op"}, Before: value, After: value, AfterUnknown: false,
			BeforeSensitive: o.Sensitive, AfterSensitive: o.Sensitive}
	}
	out.Opdbus, err = d.own()
	return out, err
}

// values are all objects as they are to be: what is declared, with what the plan made of it.
func (d *document) values() ([]resourceValue, error) {
	var out []resourceValue
	for _, n := range d.plan.Wanted {
		for _, w := range n.Objects {
			object := w.Object
			if c := d.changes[w.Addr]; c != nil && c.After != nil {
				object = c.After
			}
			v := resourceValue{resource: d.resource(w.Addr)}
			var err error
			if v.Values, v.SensitiveValues, err = d.object(object, w.Sensitive); err != nil {
				return nil, fmt.Errorf("%s: %w", w.Addr, err)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// object is an object as it is written, and which of its attributes are secret, each true.
func (d *document) object(o state.Object, sensitive []string) (any, map[string]bool, error) {
	secrets := map[string]bool{}
	if len(sensitive) == 0 {
		return o, secrets, nil
	}
	attrs, err := state.Attributes(o, sensitive, d.o.Key)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range attrs {
		if a.Sensitive {
			secrets[a.Name] = true
		}
	}
	masked, err := state.MaskedObject(o, sensitive, d.o.Key)
	return masked, secrets, err
}

func (d *document) resource(a state.Addr) resource {
	provider := state.ProviderOf(a.Node)
	kind := provider + "_" + a.Kind
	if k := d.o.Kinds.For(a); k != nil {
		provider, kind = k.Provider, k.Type()
	}
	return resource{Address: a.String(), Mode: "managed", Type: kind, Name: a.Node.Name, Index: a.Key, ProviderName: providerName(provider)}
}

// providerName is a provider's name in the form that Terraform's tools take apart: host, namespace, name.
func providerName(provider string) string { return "opdbus.dev/opdbus/" + provider }

// sorted are a map's keys in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
