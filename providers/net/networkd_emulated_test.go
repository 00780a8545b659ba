package net

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// Networkd makes every kind of links from the files that opdbus writes, just as opdbus does: what it made counts as opdbus' own and is as wanted,
// and what opdbus made stays as it is when networkd comes.
func TestOnEmulatedNetworkd(t *testing.T) {
	onEmulated(t)
	objects, files, diags := expanded(t, persistNetworkd,
		Link{Name: "nb0", Kind: "bridge", Addresses: []string{"192.0.2.1/24"}},
		Link{Name: "nv0", Kind: "veth", Peer: p("nv1"), Master: p("nb0")},
		Link{Name: "nd0", Kind: "dummy", MAC: p("02:00:00:00:00:a1"), MTU: p(1400)},
		Link{Name: "nd1", Kind: "dummy", Master: p("nbo0")},
		Link{Name: "nd2", Kind: "dummy", Master: p("nvrf0"), Up: p(true)},
		Link{Name: "nbo0", Kind: "bond", Mode: p("active-backup")},
		Link{Name: "nvlan7", Kind: "vlan", Parent: p("nd0"), VLANID: p(7), MTU: p(1300), Up: p(true)},
		Link{Name: "nmv0", Kind: "macvlan", Parent: p("nd0"), Mode: p("bridge"), Up: p(false)},
		Link{Name: "nvx0", Kind: "vxlan", VNI: p(5), Port: p(4790)},
		Link{Name: "nvx1", Kind: "vxlan", VNI: p(6), Parent: p("nd0"), Local: p("192.0.2.1"), Remote: p("192.0.2.9")},
		Link{Name: "nvrf0", Kind: "vrf", Table: p(700)},
		Link{Name: "ntun0", Kind: "tun"},
		Link{Name: "ntap0", Kind: "tap", MAC: p("02:00:00:00:00:a2")},
		Link{Name: "nifb0", Kind: "ifb"},
		Route{Name: "r", Destination: "198.51.100.0/24", Via: p("192.0.2.9"), Link: p("nb0")},
		Rule{Name: "u", Priority: 700, FwMark: p(7), Table: p(700)},
	)
	require.Empty(t, diags)
	clean(t, "nb0", "nv0", "nvlan7", "nmv0", "nvx0", "nvx1", "nd0", "nd1", "nd2", "nbo0", "nvrf0", "ntun0", "ntap0", "nifb0")
	for _, f := range files {
		require.NoError(t, apply(t, persistNetworkd, nil, f))
		defer func() { assert.NoError(t, apply(t, persistNetworkd, f, nil)) }()
	}
	networkd := func(verb string) {
		out, err := exec.Command("systemctl", verb, "systemd-networkd.service").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	networkd("start")
	defer networkd("stop")
	asWanted := func() (other []string) {
		for _, o := range objects {
			var kind string
			switch o.(type) {
			case Link:
				kind = "link"
			case Address:
				kind = "address"
			case Route:
				kind = "route"
			case Rule:
				kind = "rule"
			default:
				continue
			}
			if live := read(t, kind, o); !state.Same(live, o) || !kinds().For(addr(kind, o.Key())).Owns(o, live) {
				other = append(other, kind+" "+o.Key())
			}
		}
		return other
	}
	var other []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if other = asWanted(); len(other) == 0 {
			break
		}
	}
	said, _ := exec.Command("journalctl", "-b", "-o", "cat", "--no-pager", "-u", "systemd-networkd").CombinedOutput()
	require.Empty(t, other, "%s\n%s", said, ip(t, "-d", "link"))
	for _, complaint := range []string{"Unknown", "Invalid", "Failed", "could not", "ot found", "gnoring"} {
		assert.NotContains(t, string(said), complaint)
	}
	made := ip(t, "rule") + ip(t, "route", "show", "table", "all", "proto", "111")
	networkd("restart")
	time.Sleep(3 * time.Second)
	assert.Empty(t, asWanted())
	assert.Equal(t, made, ip(t, "rule")+ip(t, "route", "show", "table", "all", "proto", "111"))
}
