package net

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// A Bridge is one of Open vSwitch or, before it is expanded, of the kernel.
type Bridge struct {
	Name         string            `hcl:"name,label" json:"name"`
	Driver       *string           `hcl:"driver,optional" json:"-"`
	DatapathType *string           `hcl:"datapath_type,optional" json:"datapath_type,omitempty"`
	FailMode     *string           `hcl:"fail_mode,optional" json:"fail_mode,omitempty"`
	Protocols    []string          `hcl:"protocols,optional" json:"protocols"`
	STP          *bool             `hcl:"stp,optional" json:"stp,omitempty"`
	Controller   *string           `hcl:"controller,optional" json:"controller,omitempty"`
	ExternalIDs  map[string]string `hcl:"external_ids,optional" json:"external_ids,omitempty"`
	OtherConfig  map[string]string `hcl:"other_config,optional" json:"other_config,omitempty"`

	// Down says that its link is not up, as a switch leaves it when it boots.
	Down bool `json:"down,omitempty"`

	// Addresses and Ports become objects of their own.
	Addresses []string `hcl:"addresses,optional" json:"-"`
	Ports     []string `hcl:"ports,optional" json:"-"`

	former *Bridge // what it was made as: keys that it has besides go
	ours   bool    // it has opdbus' mark
}

// The drivers of bridges.
const (
	openVSwitch = "openvswitch"
	inKernel    = "kernel"
)

// Key is the bridge's name.
func (b Bridge) Key() string { return b.Name }

// Thing says that a bridge is a link, whoever declares it.
func (b Bridge) Thing() string { return Link{Name: b.Name}.Thing() }

// Same compares what is managed.
func (b Bridge) Same(other state.Object) bool {
	o, ok := other.(Bridge)
	return ok && b.Name == o.Name && b.Down == o.Down && equal(b.DatapathType, o.DatapathType) && equal(b.FailMode, o.FailMode) && sameSet(b.Protocols, o.Protocols) &&
		equal(b.STP, o.STP) && equal(b.Controller, o.Controller) && maps.Equal(b.ExternalIDs, o.ExternalIDs) && maps.Equal(b.OtherConfig, o.OtherConfig)
}

// sameSet tells a list that is not managed from one that is empty; the order of what is in it does not matter.
func sameSet(a, b []string) bool {
	return (a == nil) == (b == nil) && slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Lapsed says that the switch's daemon has made the bridge's link anew, for state.Lapser.
func (b Bridge) Lapsed() bool { return b.Down }

func (b Bridge) isKernels() bool { return deref(b.Driver) == inKernel }

// Check finds what no bridge can be.
func (b Bridge) Check(report func(attr, summary, detail string)) {
	if !validName(b.Name) {
		report("", "Invalid name of a bridge", fmt.Sprintf("%q is no name of a link: it has at most 15 characters, without spaces, slashes and colons.", b.Name))
	}
	word := func(attr string, value *string, known ...string) {
		if value != nil && !slices.Contains(known, *value) {
			report(attr, "Unknown "+attr, fmt.Sprintf("%q is none of %q.", *value, known))
		}
	}
	word("driver", b.Driver, openVSwitch, inKernel)
	word("datapath_type", b.DatapathType, "", "system", "netdev")
	word("fail_mode", b.FailMode, "", "standalone", "secure")
	if b.isKernels() {
		for attr, set := range map[string]bool{
			"datapath_type": b.DatapathType != nil, "fail_mode": b.FailMode != nil, "protocols": b.Protocols != nil, "stp": b.STP != nil,
			"controller": b.Controller != nil, "external_ids": b.ExternalIDs != nil, "other_config": b.OtherConfig != nil,
		} {
			if set {
				report(attr, "Unsupported attribute", "A bridge of the kernel has none; it is one of Open vSwitch.")
			}
		}
	}
	for _, p := range b.Protocols {
		word("protocols", &p, "OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15")
	}
	if _, is := b.ExternalIDs[ownerKey]; is {
		report("external_ids", "Reserved key", fmt.Sprintf("%q is the mark of what opdbus made.", ownerKey))
	}
	for _, a := range b.Addresses {
		if _, err := parseAddress(a); err != nil {
			report("addresses", "Invalid address", fmt.Sprintf("%q is no address with the length of its network, such as 10.0.0.1/24.", a))
		}
	}
	for _, p := range b.Ports {
		if !validName(p) || p == b.Name {
			report("ports", "Invalid name of a port", fmt.Sprintf("%q is no name of another link.", p))
		}
	}
}

// A Port connects something to a bridge of Open vSwitch.
type Port struct {
	Name    string            `hcl:"name,label" json:"name"`
	Bridge  string            `hcl:"bridge" json:"bridge"`
	Type    *string           `hcl:"type,optional" json:"type,omitempty"`
	Tag     *int              `hcl:"tag,optional" json:"tag,omitempty"`
	Trunks  []int             `hcl:"trunks,optional" json:"trunks"`
	Options map[string]string `hcl:"options,optional" json:"options,omitempty"`
	// Netns is the network namespace that the port's link is given to.
	Netns *string `hcl:"netns,optional" json:"netns,omitempty"`

	// Down says that its link is not up, as a switch leaves it when it boots.
	Down bool `json:"down,omitempty"`

	// Addresses become objects of their own.
	Addresses []string `hcl:"addresses,optional" json:"-"`

	former *Port // what it was made as: keys that it has besides go
	ours   bool  // it has opdbus' mark
}

// Key is the port's name.
func (p Port) Key() string { return p.Name }

// Thing says that a port has a name that no other has in the whole switch.
func (p Port) Thing() string { return "port " + p.Name }

// Same compares what is managed.
func (p Port) Same(other state.Object) bool {
	o, ok := other.(Port)
	return ok && p.Name == o.Name && p.Down == o.Down && p.Bridge == o.Bridge && p.kind() == o.kind() && deref(p.Netns) == deref(o.Netns) && equal(p.Tag, o.Tag) &&
		(p.Trunks == nil) == (o.Trunks == nil) && slices.Equal(slices.Sorted(slices.Values(p.Trunks)), slices.Sorted(slices.Values(o.Trunks))) &&
		maps.Equal(p.Options, o.Options)
}

// Lapsed says that the switch's daemon has made the port's link anew, for state.Lapser.
func (p Port) Lapsed() bool { return p.Down }

// kind is the type, which is system for a link that is there already.
func (p Port) kind() string {
	if t := deref(p.Type); t != "" {
		return t
	}
	return "system"
}

// Check finds what no port can be.
func (p Port) Check(report func(attr, summary, detail string)) {
	if !validName(p.Name) {
		report("", "Invalid name of a port", fmt.Sprintf("%q is no name of a link: it has at most 15 characters, without spaces, slashes and colons.", p.Name))
	}
	if !validName(p.Bridge) || p.Bridge == p.Name {
		report("bridge", "Invalid name of a bridge", fmt.Sprintf("%q is no name of a bridge.", p.Bridge))
	}
	if kinds := []string{"system", "internal", "patch", "vxlan", "tap"}; !slices.Contains(kinds, p.kind()) {
		report("type", "Unknown type of port", fmt.Sprintf("%q is none. The types are %q.", p.kind(), kinds))
	}
	if p.Tag != nil && (*p.Tag < noTag || *p.Tag > 4095) {
		report("tag", "Invalid tag", fmt.Sprintf("%d is not within 0 and 4095; -1 stands for none.", *p.Tag))
	}
	for _, n := range p.Trunks {
		if n < 0 || n > 4095 {
			report("trunks", "Invalid trunk", fmt.Sprintf("%d is not within 0 and 4095.", n))
		}
	}
	need := map[string]string{"patch": "peer", "vxlan": "remote_ip"}[p.kind()]
	if need != "" && p.Options[need] == "" {
		report("options", "Missing option", fmt.Sprintf("A port of type %s has to have the option %s.", p.kind(), need))
	}
	checkNamespace(p.Netns, report)
	if p.Netns != nil && !p.isLink() {
		report("netns", "Unsupported attribute", fmt.Sprintf("A port of type %s has no link of its own: only those of type internal and tap have one.", p.kind()))
	}
	for _, a := range p.Addresses {
		if _, err := parseAddress(a); err != nil {
			report("addresses", "Invalid address", fmt.Sprintf("%q is no address with the length of its network, such as 10.0.0.1/24.", a))
		}
	}
	if len(p.Addresses) > 0 && !p.isLink() {
		report("addresses", "Unsupported attribute", fmt.Sprintf("A port of type %s is no end of this host's. Give the addresses to the link or the bridge.", p.kind()))
	}
}
