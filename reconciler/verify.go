package reconciler

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Finding is one thing that was verified. Problem is empty when it is as it should be.
type Finding struct {
	Addr    string `json:"address"`
	What    string `json:"what"` // "object" or "check"
	Problem string `json:"problem,omitempty"`
}

// Verify compares everything that the ledger owns with the host, and runs the configuration's verify checks, for the
// given nodes or for all. It needs no configuration: config may be nil, and then there are no checks to run.
func (r *Reconciler) Verify(ctx context.Context, config *state.Config, owned *ledger.Ledger, nodes []state.NodeAddr) ([]Finding, error) {
	wanted := func(a state.NodeAddr) bool { return len(nodes) == 0 || slices.Contains(nodes, a) }
	var findings []Finding
	targets := make([]state.Addr, len(nodes))
	for i, n := range nodes {
		targets[i] = state.Addr{Node: n}
	}
	objects, err := r.Owned(ctx, owned, targets)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		findings = append(findings, Finding{o.Addr.String(), "object", o.Problem()})
	}
	if config == nil {
		return findings, nil
	}
	for _, n := range config.Nodes {
		if !wanted(n.Addr) || owned.Node(n.Addr) == nil {
			continue
		}
		for _, c := range n.Verify {
			f := Finding{Addr: fmt.Sprintf("%s.verify[%q]", n.Addr, c.Name), What: "check"}
			if err := r.Check(ctx, c); err != nil {
				f.Problem = err.Error()
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}

// differing names the attributes that a change changes.
func differing(c state.Change) string {
	differences, err := c.Differences(nil)
	if err != nil {
		return err.Error()
	}
	names := make([]string, len(differences))
	for i, d := range differences {
		names[i] = d.Name
	}
	return strings.Join(names, ", ") + " differ"
}
