package live_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// persistent is a network that is written for systemd-networkd, too.
const persistent = `
plugin "net" {}
plugin "systemd" {
  unit "openvswitch-switch.service" {
    active  = true
    enabled = true
  }
}
network "switch" {
  persist      = "networkd"
  dependencies = [plugin.systemd]
  bridge "ovsbr0" {
    datapath_type = "netdev"
    addresses     = ["10.1.0.1/24"]
  }
  port "in0" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.1.0.100/24"]
  }
  link "e0" {
    kind = "veth"
    peer = "e1"
  }
  port "e0" { bridge = "ovsbr0" }
}
network "lan" {
  persist = "networkd"
  link "br0" {
    kind      = "bridge"
    mac       = "02:00:00:00:00:20"
    addresses = ["10.0.0.1/24", "2001:db8::1/64"]
  }
  link "q0" {
    kind   = "veth"
    peer   = "q1"
    mac    = "02:00:00:00:00:21"
    mtu    = 1400
    up     = true
    master = "br0"
  }
  link "q1" {
    kind      = "veth"
    peer      = "q0"
    mac       = "02:00:00:00:00:22"
    up        = true
    addresses = ["10.0.9.1/24"]
  }
  link "x0" {
    kind   = "existing"
    master = "br0"
    mtu    = 1400
    up     = true
  }
  route "default" {
    destination = "default"
    via         = "10.0.0.2"
    link        = "br0"
  }
  route "lab" {
    destination = "192.0.2.0/24"
    via         = "10.0.0.2"
    table       = 100
  }
  route "six" {
    destination = "2001:db8:1::/48"
    via         = "2001:db8::2"
    link        = "br0"
  }
  route "hole" {
    destination = "198.18.0.0/15"
    type        = "blackhole"
  }
  rule "lab" {
    priority = 100
    fwmark   = 7
    table    = 100
  }
  rule "drop" {
    priority = 101
    fwmark   = 9
    type     = "blackhole"
  }
}
`

func withoutPersist() string {
	return regexp.MustCompile(`persist += "networkd"`).ReplaceAllString(persistent, "")
}

// theirs is what somebody else has before networkd starts, and later.
const theirs = `[Unit]
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c "ip link add s0 address 02:00:00:00:00:01 type bridge; ip link set s0 up; ip addr add 198.51.100.1/24 dev s0; \
ip link add theirs0 address 02:00:00:00:00:02 type bridge; ip link add x0 address 02:00:00:00:00:03 type veth peer name x1 address 02:00:00:00:00:04; \
ip route add 203.0.113.0/24 via 198.51.100.7; ip rule add priority 99 fwmark 6 table 99"
[Install]
WantedBy=multi-user.target
`

const theirsLater = `ip rule add priority 98 fwmark 5 table 99; ip addr add 10.0.0.77/24 dev br0; ip route add 203.0.113.128/25 via 10.0.0.9 dev br0`

// marked is the network in an order of its own, without what comes by itself a moment after an address.
func (h *host) marked() string {
	h.t.Helper()
	switchLinks := regexp.MustCompile(`^(ovs-netdev|ovsbr0|in0|e0@e1|e1@e0): <`) // which have other MAC addresses each time
	var lines []string
	for _, line := range strings.Split(strings.ReplaceAll(h.network(), " tentative", ""), "\n") {
		if !switchLinks.MatchString(line) && !strings.Contains(line, "table local") && !strings.HasPrefix(line, "local ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// unmarked is that without opdbus' marks on links and rules, which networkd does not give.
func (h *host) unmarked() string {
	h.t.Helper()
	return regexp.MustCompile(`(?m)\s*(\\\s+)?alias opdbus| proto (111|static)$`).ReplaceAllString(h.marked(), "")
}

// settles waits until the network is that, as networkd sets it up without anybody waiting.
func (h *host) settles(want string) {
	h.t.Helper()
	var now string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if now = h.unmarked(); now == want {
			return
		}
	}
	_, said := h.Run(h.t.Context(), "journalctl", "-b", "--no-pager", "-u", "systemd-networkd", "-u", "opdbus-network")
	require.Equal(h.t, want, now, "%s", said)
}

// TestNetworkd has systemd-networkd bring up a network at boot, from the files that opdbus writes, with and without opdbus' own unit. What somebody else has is not
// touched, neither by opdbus nor, because of opdbus' files, by networkd.
func TestNetworkd(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Put("/etc/systemd/system/theirs.service", theirs, 0o644)
	h.Put("/etc/systemd/network/90-theirs.network", "[Match]\nName=theirs*\n[Link]\nRequiredForOnline=no\n[Network]\nConfigureWithoutCarrier=yes\n", 0o644)
	h.Do("sh", "-c", "systemctl daemon-reload; systemctl enable --now theirs.service systemd-networkd.service; sleep 1")
	before, files := h.marked(), func() string {
		return h.Do("sh", "-c", "cd /etc/systemd; tail -n +1 network/* networkd.conf.d/* 2>/dev/null; true")
	}
	theirFiles := files()

	h.config(strings.Replace(persistent, `"networkd"`, `"netplan"`, 1))
	said := h.must(1, "plan")
	assert.Contains(t, said, `"netplan" is none. It is "networkd"`)
	assert.Contains(t, said, "main.hcl line 10")

	h.config(persistent)
	h.Put("/etc/systemd/network/10-opdbus-br0.netdev", "[NetDev]\nName=br9\nKind=bridge\n", 0o644)
	said = h.must(1, "plan")
	assert.Contains(t, said, "/etc/systemd/network/10-opdbus-br0.netdev is not opdbus' own to write")
	h.Do("rm", "/etc/systemd/network/10-opdbus-br0.netdev")

	h.config(persistent + "network \"more\" {\n  persist = \"networkd\"\n  link \"theirs0\" {\n    kind = \"existing\"\n    mtu = 1400\n  }\n}\n")
	assert.Contains(t, h.must(1, "plan"), "systemd-networkd goes by /etc/systemd/network/90-theirs.network for link theirs0")
	h.config(persistent)

	said = h.must(2, "plan", "--detailed-exitcode")
	assert.Contains(t, said, `+ networkd["network/10-opdbus-br0.network"]`)
	assert.Contains(t, h.must(0, "plan", "--json"), `Gateway=10.0.0.2\n`)
	h.must(0, "apply", "--auto-approve")
	h.must(0, "plan", "--detailed-exitcode")
	assert.Contains(t, h.must(0, "query", "--plugin", "net"), "network/90-theirs.network")
	h.Do("sh", "-c", theirsLater)
	after, made, written := h.unmarked(), h.marked(), files()

	t.Run("it is the same after networkd was started anew", func(t *testing.T) {
		h := h.within(t)
		h.Do("sh", "-c", "ip -o monitor route address rule >/run/seen & sleep 0.3; systemctl restart systemd-networkd; networkctl --no-legend >/dev/null; sleep 3; kill $!")
		h.settles(after)
		assert.Equal(t, made, h.marked(), "with its marks")
		seen := h.Do("cat", "/run/seen")
		for _, gone := range []string{"Deleted default", "Deleted 192.0.2.0", "10.0.0.1/24 .*Deleted", "Deleted.*10.0.0.1/24", "Deleted.*fwmark"} {
			assert.NotRegexp(t, gone, seen)
		}
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "drift")
		for _, complaint := range []string{"Unknown", "Failed", "not found", "ignoring"} {
			assert.NotContains(t, h.Do("journalctl", "-b", "--no-pager", "-u", "systemd-networkd"), complaint)
		}
	})

	t.Run("drift is named and mended", func(t *testing.T) {
		h := h.within(t)
		h.Do("sh", "-c", "sed -i 's/^Gateway=.*/Gateway=10.0.0.3/' /etc/systemd/network/10-opdbus-br0.network")
		said := h.must(2, "drift")
		assert.Equal(t, 1, strings.Count(said, "network.lan."), said)
		assert.Contains(t, said, `network.lan.networkd["network/10-opdbus-br0.network"]`)
		assert.Contains(t, h.must(1, "drift", "accept", `network.lan.networkd["network/10-opdbus-br0.network"]`, "--auto-approve"), "it is written from what network.lan declares")
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, written, files())
	})

	boot := func(t *testing.T, reinstating bool) {
		h := h.within(t)
		h.Do("systemctl", map[bool]string{true: "enable", false: "disable"}[reinstating], "opdbus-network.service", "opdbus-switch.path")
		h.Reboot()
		h.Do("sh", "-c", "systemctl is-system-running --wait || systemctl --failed; "+theirsLater)
		if !reinstating { // what networkd cannot have
			assert.NotContains(t, h.Do("ip", "-d", "link", "show", "br0"), "alias")
			assert.NotContains(t, h.Do("ip", "rule"), "blackhole")
			h.Do("opdbus", "reinstate")
		}
		h.settles(after)
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "drift")
	}
	t.Run("networkd alone brings it up at boot", func(t *testing.T) { boot(t, false) })
	t.Run("what networkd made gets its mark when the files go, and the files come back", func(t *testing.T) {
		h := h.within(t)
		h.config(withoutPersist())
		said := h.must(2, "plan", "--detailed-exitcode")
		assert.Contains(t, said, `- networkd["network/10-opdbus-br0.network"]`)
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, theirFiles, files())
		marked := strings.Replace(made, "lookup 100 proto static", "lookup 100 proto 111", 1)
		require.Equal(t, marked, h.marked(), "all of it has its mark")
		h.Do("sh", "-c", "systemctl restart systemd-networkd; sleep 2")
		assert.Equal(t, marked, h.marked())
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "undo", "--auto-approve")
		assert.Equal(t, written, files())
		h.config(persistent)
		h.must(0, "plan", "--detailed-exitcode")
	})
	t.Run("both bring it up at boot", func(t *testing.T) { boot(t, true) })

	h.Do("sh", "-c", "ip rule del priority 98; ip addr del 10.0.0.77/24 dev br0; ip route del 203.0.113.128/25 2>/dev/null; true")
	// A networkd that has read a file sets up an existing link anew when that leaves its bridge: it has to forget the file first.
	h.must(0, "release")
	h.config(withoutPersist())
	h.must(0, "apply", "--auto-approve")
	h.Do("systemctl", "restart", "systemd-networkd")
	h.must(0, "destroy", "--auto-approve")
	assert.Equal(t, theirFiles, files())
	assert.Equal(t, before, h.marked())
	h.Do("sh", "-c", "systemctl restart systemd-networkd; sleep 2")
	assert.Equal(t, before, h.marked())
}
