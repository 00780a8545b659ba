package state

import (
	"encoding/json"
	"time"
)

// A Config is a configuration, read, evaluated and checked: what the host should be.
type Config struct {
	Dir       string
	Digest    string // sha256:… over the files, the variables' values and the facts it saw
	Settings  Settings
	Nodes     []*Node // by address
	Skipped   []Skipped
	Outputs   []Output
	Variables []Variable
	Moved     []Move
	Removed   []Removal
	// Overlay is what files, by absolute path, are taken to hold whatever they do. A configuration with one is only to be looked at.
	Overlay map[string][]byte
}

// Node finds a node by address; nil when there is none.
func (c *Config) Node(addr NodeAddr) *Node {
	for _, n := range c.Nodes {
		if n.Addr == addr {
			return n
		}
	}
	return nil
}

// Settings are the opdbus block.
type Settings struct {
	Features  []string
	Store     string // empty: the default
	Registry  string
	OnFailure string // rollback, node or stop; empty: rollback
	Snapshots SnapshotSettings
	// SubvolumesAt is where the configuration names the subvolumes that are snapshotted with each run.
	SubvolumesAt Range
}

// SnapshotSettings say how long snapshots are kept, and what else is snapshotted around a run.
type SnapshotSettings struct {
	Keep, KeepDays int // 0: not limited
	Subvolumes     []string
}

// A Node is a stage, plugin or network block with its objects.
type Node struct {
	Addr        NodeAddr
	Description string
	DependsOn   []Dependency // by address, without duplicates
	// Self holds the block's own attributes as the value of the kind that is called like the node's type.
	Self      Object
	Objects   []Declared // in the order in which they are made
	Lifecycle Lifecycle
	Drift     string // enforce, alert or observe; empty: enforce
	Verify    []Check
	Health    []Check
	Source    Range
	// Attr finds the place of one of the block's own attributes; the block's when it is not set there.
	Attr func(name string) Range
}

// A Dependency is an edge of the graph and what made it.
type Dependency struct {
	On     NodeAddr
	Why    string // "dependencies", "a reference", "registers it"
	Source Range
}

// A Declared object is one that the configuration wants.
type Declared struct {
	Addr      Addr
	Object    Object
	Sensitive []string // attributes whose values are secret
	Source    Range
	// Attr finds the place of an attribute; the block's own when it is not set there.
	Attr func(name string) Range
}

// Lifecycle is the lifecycle block. The lists hold KIND["key"], KIND["key"].attribute, KIND.attribute, or "all".
type Lifecycle struct {
	PreventDestroy bool
	IgnoreChanges  []string
	IgnoreDrift    []string
}

// A BusProperty is a property of an object on the system bus, and what it is to be.
type BusProperty struct {
	Service   string          `json:"service"`
	Path      string          `json:"path"`
	Interface string          `json:"interface"`
	Property  string          `json:"property"`
	Equals    json.RawMessage `json:"value,omitempty"` // called as the kind that reads it has it
}

// A Check is a verify or health block. One of Command, Unit, TCP and DBusProperty says what is checked.
type Check struct {
	Name         string        `json:"name"`
	Command      []string      `json:"command,omitempty"`
	ExpectExit   int           `json:"expect_exit,omitempty"`
	Unit         string        `json:"unit,omitempty"`
	TCP          string        `json:"tcp,omitempty"`
	DBusProperty *BusProperty  `json:"dbus_property,omitempty"`
	Timeout      time.Duration `json:"timeout"` // of one try
	Retries      int           `json:"retries,omitempty"`
	Source       Range         `json:"-"`
}

// Skipped is a node that is left out, and why.
type Skipped struct {
	Addr   NodeAddr
	Reason string
	Source Range
	// PreventDestroy is the node's lifecycle setting: leaving it out does not lift the protection.
	PreventDestroy bool
}

// An Output is an output block, evaluated. Value is JSON.
type Output struct {
	Name        string
	Value       []byte
	Type        []byte // the value's type in cty's JSON notation
	Sensitive   bool
	Description string
	Source      Range
}

// A Variable is an input variable and the value it has. Value is JSON.
type Variable struct {
	Name        string
	Value       []byte
	Sensitive   bool
	Description string
}

// A Move says that what the ledger knows as From is now To.
type Move struct {
	From, To Addr
	Source   Range
}

// A Removal says that From is no longer declared, and whether what was made for it is deleted or only forgotten.
type Removal struct {
	From    Addr
	Destroy bool
	Source  Range
}

// Facts are what expressions see as host.…
type Facts struct {
	Name, Arch, Kernel, OS string
	Features               []string
}
