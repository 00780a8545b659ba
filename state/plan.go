package state

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
	Verify    []Check
	Health    []Check
	Protected bool // prevent_destroy
	Source    Range
}

// Empty says whether the plan changes nothing, not even what is owned.
func (p *Plan) Empty() bool { return len(p.Nodes) == 0 }

// Snapshots are the phases of the node's turn in which a snapshot is taken of it. That of a node that goes is taken when it
// is empty, before its subvolume is deleted.
func (n *NodePlan) Snapshots() []string { return []string{"pre", "post"} }
