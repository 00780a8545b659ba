package state

import (
	"cmp"
	"encoding/json"
)

// A Plan is what is to be done: the nodes to change, in dependency order, each with its changes.
type Plan struct {
	Host      string // the machine id; with a root, that of the root
	Hostname  string
	Config    string // the configuration's digest
	Commit    string // of the Git repository the configuration is in; empty outside one
	Dir       string
	OnFailure string
	Run       int // the last run that the ledger knew when the plan was made
	Nodes     []*NodePlan
	Unchanged int // nodes without changes
	Skipped   []Skipped
	Outputs   []Output
	Variables []Variable
	// Wanted is everything declared, for the plan's readers; Drifted is what differs from the ledger.
	Wanted  []*Node
	Drifted []Change
	// Rollback says what a plan that takes back former runs goes back to, for people, such as "before run 3"; empty for others.
	// Its Config is the digest of the configuration that the ledger names afterwards.
	Rollback string
	// Triggers are fired when all nodes have gone back: what refers to another thing goes back before that does. In a plan that takes
	// nothing back, they are in the changes.
	Triggers []Triggering
	// Retention says how long the configuration wants snapshots kept.
	Retention SnapshotSettings

	digest    string // once it has been computed, under digestKey
	digestKey []byte
}

// A NodePlan is one node's part of a plan.
type NodePlan struct {
	Addr      NodeAddr
	DependsOn []NodeAddr // as declared: in the plan or not
	After     []NodeAddr // the nodes of the plan that are changed before this one
	Changes   []Change   // in the order in which they are made
	// Delete says that nothing of the node is left afterwards, its subvolume included.
	Delete bool
	// TakesBack says how the node's changes are taken back: "snapshot", "inverse", "snapshot and inverse", or "not at
	// all: REASON".
	TakesBack string
	Disturbs  []string
	// Endangers says how the changes could cut the connection over which opdbus was started. It is no part of the digest, as the plan is
	// the same over another connection, and is found out anew when a saved plan is applied.
	Endangers []string
	Verify    []Check
	Health    []Check
	Protected bool // prevent_destroy
	Source    Range
	// Back is set in a plan that takes back former runs.
	Back *Back
}

// A Back is where a node goes back to.
type Back struct {
	// Snapshot is the name of the one whose files the node gets; empty: the node was not there, and its subvolume goes.
	Snapshot string `json:"snapshot,omitempty"`
	// Steps are those of former runs that are taken back, last first.
	Steps []Step `json:"steps"`
	// Owned is what the ledger has afterwards.
	Owned []Ownership `json:"owned"`
}

// A Step is one node's turn in a run, as the run's journal numbers it.
type Step struct {
	Run  int `json:"run"`
	Step int `json:"step"`
}

// Compare orders steps as they were made.
func (s Step) Compare(t Step) int {
	return cmp.Or(cmp.Compare(s.Run, t.Run), cmp.Compare(s.Step, t.Step))
}

// An Ownership is what the ledger has of a node, as it is written there; nothing when it owns nothing of it.
type Ownership struct {
	Node  NodeAddr        `json:"node"`
	Owned json.RawMessage `json:"owned,omitempty"`
}

// Empty says whether the plan changes nothing, not even what is owned.
func (p *Plan) Empty() bool { return len(p.Nodes) == 0 }

// Snapshots are the phases of the node's turn in which a snapshot is taken of it. That of a node that goes is taken when it
// is empty, before its subvolume is deleted. One that goes back is as its snapshot is, so that there is no other to be taken after.
func (n *NodePlan) Snapshots() []string {
	if n.Back != nil {
		return []string{"pre-rollback"}
	}
	return []string{"pre", "post"}
}
