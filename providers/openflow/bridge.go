package openflow

import (
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// A Bridge is a bridge of Open vSwitch, as far as its flows go.
type Bridge struct {
	Name            string  `hcl:"name,label" json:"name"`
	Exclusive       bool    `hcl:"exclusive,optional" json:"exclusive,omitempty"`
	SecurityProfile *string `hcl:"security_profile,optional" json:"security_profile,omitempty"`

	// Flows become objects of their own.
	Flows []Declared `hcl:"flow,block" json:"-"`

	// Foreign are the flows that are not opdbus', where it is to have none: as ovs-ofctl(8) writes them.
	Foreign []string `json:"foreign,omitempty"`
}

// A Declared flow is one as it is written in a bridge's block.
type Declared struct {
	Name        string            `hcl:"name,label"`
	Table       int               `hcl:"table,optional"`
	Priority    *int              `hcl:"priority,optional"`
	Match       map[string]string `hcl:"match,optional"`
	Actions     []string          `hcl:"actions"`
	CookieNote  string            `hcl:"cookie_note,optional"`
	IdleTimeout int               `hcl:"idle_timeout,optional"`
	HardTimeout int               `hcl:"hard_timeout,optional"`

	source state.Range
	attr   func(name string) state.Range
}

// Place remembers where the block stands, for state.Placed.
func (d *Declared) Place(source state.Range, attr func(name string) state.Range) {
	d.source, d.attr = source, attr
}

// Key is the bridge's name.
func (b Bridge) Key() string { return b.Name }

// Same compares what is managed.
func (b Bridge) Same(other state.Object) bool {
	o, ok := other.(Bridge)
	return ok && b.Name == o.Name && b.Exclusive == o.Exclusive && b.profile() == o.profile() && slices.Equal(b.Foreign, o.Foreign)
}

// Check finds what no bridge can be.
func (b Bridge) Check(report func(attr, summary, detail string)) {
	if _, known := profiles()[b.profile()]; !known {
		report("security_profile", "Unknown security profile", fmt.Sprintf("%q is none. The profiles are %q, %q and %q.", b.profile(), none, basic, strict))
	}
}

func (b Bridge) profile() string {
	if b.SecurityProfile == nil {
		return none
	}
	return *b.SecurityProfile
}
