package net

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// macvlanModes are the modes of macvlan links (ip-link(8)).
func macvlanModes() map[string]netlink.MacvlanMode {
	return map[string]netlink.MacvlanMode{
		"private": netlink.MACVLAN_MODE_PRIVATE, "vepa": netlink.MACVLAN_MODE_VEPA,
		"bridge": netlink.MACVLAN_MODE_BRIDGE, "passthru": netlink.MACVLAN_MODE_PASSTHRU,
	}
}

func (l Link) checkMode(report func(attr, summary, detail string)) {
	if l.Mode == nil {
		return
	}
	var modes []string
	switch l.Kind {
	case "bond":
		modes = slices.Sorted(maps.Keys(netlink.StringToBondModeMap))
	case "macvlan":
		modes = slices.Sorted(maps.Keys(macvlanModes()))
	default:
		return
	}
	if !slices.Contains(modes, *l.Mode) {
		report("mode", "Unknown mode", fmt.Sprintf("%q is none of a %s. The modes are %s.", *l.Mode, l.Kind, strings.Join(modes, ", ")))
	}
}

// described is a link as the kernel has it.
func described(from netlink.Link, all table) Link {
	at := from.Attrs()
	up, mac, master, mtu := at.Flags&net.FlagUp != 0, at.HardwareAddr.String(), all.name(at.MasterIndex), at.MTU
	l := Link{Name: at.Name, Kind: from.Type(), Up: &up, MAC: &mac, Master: &master, MTU: &mtu, ours: isMark(at.Alias)}
	parent := func() {
		if name := all.name(at.ParentIndex); name != "" && at.NetNsID < 0 {
			l.Parent = &name
		}
	}
	switch of := from.(type) {
	case *netlink.Veth:
		if name := all.name(at.ParentIndex); name != "" && at.NetNsID < 0 {
			l.Peer = &name
		}
	case *netlink.Vlan:
		parent()
		l.VLANID = &of.VlanId
	case *netlink.Vxlan:
		l.VNI, l.Port = &of.VxlanId, &of.Port
		if name := all.name(of.VtepDevIndex); name != "" {
			l.Parent = &name
		}
		l.Local, l.Remote = ipText(of.SrcAddr), ipText(of.Group)
	case *netlink.Macvlan:
		parent()
		for name, mode := range macvlanModes() {
			if mode == of.Mode {
				l.Mode = &name
			}
		}
	case *netlink.Bond:
		mode := of.Mode.String()
		l.Mode = &mode
	case *netlink.Vrf:
		table := int(of.Table)
		l.Table = &table
	case *netlink.Tuntap:
		if l.Kind = "tap"; of.Mode == netlink.TUNTAP_MODE_TUN {
			l.Kind = "tun"
		}
	}
	return l
}

func ipText(ip net.IP) *string {
	if ip == nil || ip.IsUnspecified() {
		return nil
	}
	text := ip.String()
	return &text
}

// blueprint is what the kernel is asked to make.
func (l Link) blueprint(name string) (netlink.Link, error) {
	at := netlink.NewLinkAttrs()
	at.Name = name
	parent := 0
	if l.Parent != nil {
		p, err := needed(*l.Parent)
		if err != nil {
			return nil, err
		}
		parent = p.Attrs().Index
	}
	switch l.Kind {
	case "bridge":
		return &netlink.Bridge{LinkAttrs: at}, nil
	case "dummy":
		return &netlink.Dummy{LinkAttrs: at}, nil
	case "ifb":
		return &netlink.Ifb{LinkAttrs: at}, nil
	case "veth":
		v := netlink.NewVeth(at)
		v.PeerName = unfinished(*l.Peer)
		return v, nil
	case "vlan":
		at.ParentIndex = parent
		return &netlink.Vlan{LinkAttrs: at, VlanId: *l.VLANID, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}, nil
	case "vxlan":
		v := &netlink.Vxlan{LinkAttrs: at, VxlanId: *l.VNI, VtepDevIndex: parent, Learning: true, Port: 4789} // IANA's port: RFC 7348
		if l.Port != nil {
			v.Port = *l.Port
		}
		v.SrcAddr, v.Group = net.ParseIP(deref(l.Local)), net.ParseIP(deref(l.Remote))
		return v, nil
	case "macvlan":
		at.ParentIndex = parent
		return &netlink.Macvlan{LinkAttrs: at, Mode: macvlanModes()[deref(l.Mode)]}, nil
	case "bond":
		b := netlink.NewLinkBond(at)
		if l.Mode != nil {
			b.Mode = netlink.StringToBondMode(*l.Mode)
		}
		return b, nil
	case "vrf":
		return &netlink.Vrf{LinkAttrs: at, Table: uint32(*l.Table)}, nil
	case "tun", "tap":
		t := &netlink.Tuntap{LinkAttrs: at, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI}
		if l.Kind == "tun" {
			t.Mode = netlink.TUNTAP_MODE_TUN
		}
		return t, nil
	}
	return nil, fmt.Errorf("opdbus makes no links of kind %s", l.Kind)
}
