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
	var addrs []state.Addr
	var made []state.Object
	for _, node := range owned.Addrs() {
		if !wanted(node) {
			continue
		}
		for _, e := range owned.Node(node).Objects {
			a, err := state.ParseLocal(node, e.Object)
			if err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
			kind, err := r.kind(a)
			if err != nil {
				return nil, err
			}
			m, err := kind.Decode(e.Made)
			if err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
			addrs, made = append(addrs, a), append(made, m)
		}
	}
	lives, err := r.read(ctx, addrs, made)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		findings = append(findings, Finding{a.String(), "object", problem(made[i], lives[i])})
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

// problem says how live differs from what was made.
func problem(made, live state.Object) string {
	switch {
	case live == nil:
		return "is missing"
	case !state.Same(made, live):
		return "is not what was made: " + differing(made, live)
	}
	return ""
}

// differing names the attributes that differ; their values may be secret, and the ledger does not say which are.
func differing(made, live state.Object) string {
	differences, err := state.Change{Before: made, After: live}.Differences(nil)
	if err != nil {
		return err.Error()
	}
	names := make([]string, len(differences))
	for i, d := range differences {
		names[i] = d.Name
	}
	return strings.Join(names, ", ") + " differ"
}
