package render

import (
	"encoding/json"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// ownJSON is the member opdbus: what Terraform has no word for.
type ownJSON struct {
	Digest string   `json:"digest"`
	Config string   `json:"config,omitempty"`
	Host   hostJSON `json:"host"`
	Git    *gitJSON `json:"git,omitempty"`
	// Rollback is what a plan that takes back former runs goes back to.
	Rollback string `json:"rollback,omitempty"`
	// Triggers are fired when all nodes have gone back.
	Triggers []triggerJSON `json:"triggers,omitempty"`
	// Subvolumes are those of no node that are snapshotted before and after.
	Subvolumes []string    `json:"subvolumes,omitempty"`
	Nodes      []nodeJSON  `json:"nodes"`
	Changes    []causeJSON `json:"changes"`
}

type hostJSON struct {
	MachineID string `json:"machine_id,omitempty"`
	Hostname  string `json:"hostname,omitempty"`
}

type gitJSON struct {
	Commit string `json:"commit"`
}

type nodeJSON struct {
	Address   string   `json:"address"`
	DependsOn []string `json:"depends_on"`
	Snapshots []string `json:"snapshots"`
	TakesBack string   `json:"takes_back,omitempty"`
	Disturbs  []string `json:"disturbs"`
	Endangers []string `json:"endangers,omitempty"`
	Delete    bool     `json:"delete,omitempty"`
	Skipped   string   `json:"skipped,omitempty"`
	// GoesBack says to which snapshot, and which steps are taken back for that, last first.
	GoesBack *goesBackJSON `json:"goes_back,omitempty"`
}

type goesBackJSON struct {
	Snapshot string       `json:"snapshot,omitempty"`
	Steps    []state.Step `json:"steps"`
}

type causeJSON struct {
	Address string      `json:"address"`
	Cause   state.Cause `json:"cause,omitempty"`
	Note    string      `json:"note,omitempty"`
	// Trigger is what is done besides, for what TriggeredBy says.
	Trigger     state.Trigger `json:"trigger,omitempty"`
	TriggeredBy []string      `json:"triggered_by,omitempty"`
	Source      *sourceJSON   `json:"source,omitempty"`
}

type triggerJSON struct {
	Address     string        `json:"address"`
	Trigger     state.Trigger `json:"trigger"`
	TriggeredBy []string      `json:"triggered_by,omitempty"`
}

// objectAddresses are addresses as strings; nil for none.
func objectAddresses(of []state.Addr) []string {
	var all []string
	for _, a := range of {
		all = append(all, a.String())
	}
	return all
}

type sourceJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func (d *document) own() (ownJSON, error) {
	p := d.plan
	digest, err := p.Digest(d.o.Key)
	own := ownJSON{Digest: digest, Config: p.Config, Host: hostJSON{p.Host, p.Hostname}, Rollback: p.Rollback, Subvolumes: p.Retention.Subvolumes, Nodes: []nodeJSON{}, Changes: []causeJSON{}}
	if p.Commit != "" {
		own.Git = &gitJSON{p.Commit}
	}
	for _, t := range p.Triggers {
		own.Triggers = append(own.Triggers, triggerJSON{t.Addr.String(), t.Trigger, objectAddresses(t.By)})
	}
	for _, n := range p.Nodes {
		var back *goesBackJSON
		if n.Back != nil {
			back = &goesBackJSON{n.Back.Snapshot, n.Back.Steps}
		}
		own.Nodes = append(own.Nodes, nodeJSON{
			Address: n.Addr.String(), DependsOn: addresses(n.DependsOn), Snapshots: n.Snapshots(), TakesBack: n.TakesBack,
			Disturbs: append([]string{}, n.Disturbs...), Endangers: n.Endangers, Delete: n.Delete, GoesBack: back,
		})
		for _, c := range n.Changes {
			cause := causeJSON{Address: c.Addr.String(), Cause: c.Cause, Note: c.Note, Trigger: c.Trigger, TriggeredBy: objectAddresses(c.TriggeredBy)}
			if !c.Source.IsZero() {
				cause.Source = &sourceJSON{c.Source.Relative(p.Dir), c.Source.Line}
			}
			own.Changes = append(own.Changes, cause)
		}
	}
	for _, s := range p.Skipped {
		own.Nodes = append(own.Nodes, nodeJSON{Address: s.Addr.String(), DependsOn: []string{}, Snapshots: []string{}, Disturbs: []string{}, Skipped: s.Reason})
	}
	return own, err
}

// addresses are nodes' addresses in order.
func addresses(nodes []state.NodeAddr) []string {
	out := []string{}
	for _, n := range slices.SortedFunc(slices.Values(nodes), state.NodeAddr.Compare) {
		out = append(out, n.String())
	}
	return out
}

type configJSON struct {
	ProviderConfig map[string]providerJSON `json:"provider_config"`
	RootModule     moduleJSON              `json:"root_module"`
}

type providerJSON struct {
	Name     string `json:"name"`
	FullName string `json:"full_name"`
}

type moduleJSON struct {
	Outputs   map[string]describedJSON `json:"outputs,omitempty"`
	Resources []blockJSON              `json:"resources,omitempty"`
	Variables map[string]describedJSON `json:"variables,omitempty"`
}

type describedJSON struct {
	Description string          `json:"description,omitempty"`
	Sensitive   bool            `json:"sensitive,omitempty"`
	Expression  json.RawMessage `json:"expression,omitempty"`
}

type blockJSON struct {
	Address           string              `json:"address"`
	Mode              string              `json:"mode"`
	Type              string              `json:"type"`
	Name              string              `json:"name"`
	ProviderConfigKey string              `json:"provider_config_key"`
	Expressions       map[string]struct{} `json:"expressions"`
	SchemaVersion     int                 `json:"schema_version"`
	DependsOn         []string            `json:"depends_on,omitempty"`
}

// configuration says what is declared as far as tools need it to make sense of the changes: each kind of each node as if it
// were one resource with for_each, whose instances are the objects.
func (d *document) configuration() configJSON {
	c := configJSON{ProviderConfig: map[string]providerJSON{}}
	for _, n := range d.plan.Wanted {
		var needs []state.NodeAddr
		for _, on := range n.DependsOn {
			needs = append(needs, on.On)
		}
		kinds := map[string]state.Addr{}
		for _, o := range n.Objects {
			kinds[o.Addr.Kind] = o.Addr
		}
		for _, kind := range sorted(kinds) {
			r := d.resource(kinds[kind])
			provider := state.ProviderOf(n.Addr)
			if k := d.o.Kinds.For(kinds[kind]); k != nil {
				provider = k.Provider
			}
			c.ProviderConfig[provider] = providerJSON{provider, r.ProviderName}
			c.RootModule.Resources = append(c.RootModule.Resources, blockJSON{
				Address: n.Addr.String() + "." + kind, Mode: r.Mode, Type: r.Type, Name: r.Name, ProviderConfigKey: provider,
				Expressions: map[string]struct{}{}, DependsOn: addresses(needs),
			})
		}
	}
	if len(d.plan.Outputs) > 0 {
		c.RootModule.Outputs = map[string]describedJSON{}
	}
	for _, o := range d.plan.Outputs {
		c.RootModule.Outputs[o.Name] = describedJSON{o.Description, o.Sensitive, json.RawMessage("{}")}
	}
	if len(d.plan.Variables) > 0 {
		c.RootModule.Variables = map[string]describedJSON{}
	}
	for _, v := range d.plan.Variables {
		c.RootModule.Variables[v.Name] = describedJSON{Description: v.Description, Sensitive: v.Sensitive}
	}
	return c
}
