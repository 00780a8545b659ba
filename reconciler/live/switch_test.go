package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// switched is a network with a bridge of Open vSwitch, to which two network namespaces are joined, and flows.
const switched = `
plugin "systemd" {
  unit "openvswitch-switch.service" { active = true }
}
plugin "net" {}
network "lan" {
  dependencies = [plugin.systemd]
  bridge "ovsbr0" {
    driver        = "openvswitch"
    datapath_type = "netdev"
    fail_mode     = "secure"
    external_ids  = { role = "lab" }
    addresses     = ["10.1.0.1/24"]
  }
  port "internal_100" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.1.0.100/24"]
  }
  link "p0" {
    kind = "veth"
    peer = "p1"
  }
  link "q0" {
    kind = "veth"
    peer = "q1"
  }
  port "p0" { bridge = "ovsbr0" }
  port "q0" { bridge = "ovsbr0" }
}
plugin "openflow" {
  dependencies = [network.lan]
  bridge "ovsbr0" {
    security_profile = "basic"
    flow "web" {
      priority = 50
      match    = { tcp = true, in_port = "p0", tcp_dst = 80 }
      actions  = ["output:q0"]
    }
    # more
  }
}
`

// dropping has a flow that drops what the one namespace sends to the other.
func dropping() string {
	return strings.Replace(switched, "# more", `flow "no-ping" {
      priority = 60
      match    = { icmp = true, ip_dst = "10.1.0.12" }
      actions  = ["drop"]
    }`, 1)
}

// flows are a bridge's, without what changes by itself.
func (h *host) flows(bridge string) string {
	h.t.Helper()
	return h.Do("sh", "-c", "ovs-ofctl -O OpenFlow14 --names --no-stats dump-flows "+bridge+" | sort")
}

// pings says whether packets go from a namespace to an address and back.
func (h *host) pings(from, to string) bool {
	h.t.Helper()
	code, _ := h.Run(h.t.Context(), "ip", "netns", "exec", from, "ping", "-q", "-c", "3", "-i", "0.3", "-W", "2", to)
	return code == 0
}

// namespaces has the other ends of the two pairs in network namespaces.
func (h *host) namespaces() {
	h.t.Helper()
	h.Do("sh", "-c", `for n in p q; do ip netns add $n; ip link set ${n}1 netns $n; ip -n $n link set ${n}1 up; done
ip -n p addr add 10.1.0.11/24 dev p1; ip -n q addr add 10.1.0.12/24 dev q1`)
}

// TestSwitch joins two network namespaces by a bridge of Open vSwitch, has a flow drop what passes, takes it back, has the daemon killed and the
// host booted anew, and takes all of it away; what somebody else has on the switch is never touched.
func TestSwitch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.config(switched)
	plan := h.must(2, "plan", "--detailed-exitcode")
	assert.Contains(t, plan, `+ bridge["ovsbr0"]`)
	h.must(0, "apply", "--auto-approve")
	h.namespaces()
	h.must(0, "plan", "--detailed-exitcode")
	h.Do("sh", "-c", `ovs-vsctl add-br theirs -- set bridge theirs datapath_type=netdev -- add-port theirs t0 -- set interface t0 type=internal
ovs-vsctl add-port ovsbr0 t1 -- set interface t1 type=internal; ovs-ofctl add-flow ovsbr0 cookie=7,priority=77,udp,udp_dst=7,actions=drop`)
	theirs := func() string {
		return h.Do("sh", "-c", `ovs-vsctl --columns=name,ports,datapath_type,external_ids,other_config list bridge theirs; ovs-vsctl --columns=name,tag,external_ids list port t0 t1
ovs-ofctl --no-stats dump-flows theirs; ovs-ofctl --no-stats dump-flows ovsbr0 cookie=7/-1`)
	}
	before := theirs()
	require.True(t, h.pings("p", "10.1.0.12"))
	require.True(t, h.pings("p", "10.1.0.1"))
	assert.Contains(t, h.must(0, "query", "--plugin", "openflow"), `{"in_port":"p0","tcp":"","tp_dst":"80"}`)
	assert.Contains(t, h.must(0, "query", "--plugin", "net"), "internal_100")
	flows := h.flows("ovsbr0")

	t.Run("a flow that drops", func(t *testing.T) {
		h := h.within(t)
		h.config(dropping())
		assert.Contains(t, h.must(2, "plan", "--detailed-exitcode"), `+ flow["ovsbr0 no-ping"]`)
		h.must(0, "apply", "--auto-approve")
		assert.False(t, h.pings("p", "10.1.0.12"))
		assert.True(t, h.pings("p", "10.1.0.1"))
		assert.Contains(t, h.Do("ovs-appctl", "ofproto/trace", "ovsbr0", "in_port=p0,icmp,nw_src=10.1.0.11,nw_dst=10.1.0.12"), "Datapath actions: drop")
		h.must(0, "rollback", "plugin.openflow", "--auto-approve")
		assert.True(t, h.pings("p", "10.1.0.12"))
		assert.Equal(t, flows, h.flows("ovsbr0"))
		h.config(switched)
	})
	t.Run("drift is named and mended", func(t *testing.T) {
		h := h.within(t)
		for object, command := range map[string]string{
			`flow["ovsbr0 web"]`:   "ovs-ofctl -O OpenFlow14 mod-flows ovsbr0 tcp,in_port=p0,tcp_dst=80,actions=drop",
			`flow["ovsbr0 basic/`:  "ovs-ofctl -O OpenFlow14 --strict del-flows ovsbr0 priority=65535,arp",
			`port["internal_100"]`: "ip link set internal_100 down",
			`bridge["ovsbr0"]`:     "ovs-vsctl set bridge ovsbr0 external_ids:role=other",
		} {
			h.Do("sh", "-c", command)
			drift := h.must(2, "drift")
			assert.Equal(t, 1, strings.Count(drift, "lan.")+strings.Count(drift, "openflow."), "%s: %s", object, drift)
			assert.Contains(t, drift, object)
			h.must(0, "apply", "--auto-approve")
			h.must(0, "drift")
		}
		assert.Equal(t, flows, h.flows("ovsbr0"))
	})
	t.Run("a port that cannot be made is taken back", func(t *testing.T) {
		h := h.within(t)
		was := h.Do("ovs-vsctl", "show")
		h.config(strings.Replace(switched, `port "q0"`, "port \"nowhere\" { bridge = \"ovsbr0\" }\n  port \"q0\"", 1))
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, "cannot make port nowhere: ovs-vswitchd says: could not open network device nowhere")
		assert.Equal(t, was, h.Do("ovs-vsctl", "show"))
		h.config(switched)
		h.must(0, "plan", "--detailed-exitcode")
	})
	t.Run("another fail_mode leaves the flows", func(t *testing.T) {
		h := h.within(t)
		h.config(strings.Replace(switched, `"secure"`, `"standalone"`, 1))
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, flows+" priority=0 actions=NORMAL\n", h.flows("ovsbr0"), "and the switch's own")
		h.config(switched)
		h.must(0, "apply", "--auto-approve")
		assert.Equal(t, flows, h.flows("ovsbr0"))
		h.must(0, "plan", "--detailed-exitcode")
	})
	t.Run("a match without its protocol is refused where it stands", func(t *testing.T) {
		h := h.within(t)
		h.config(strings.Replace(switched, "tcp = true, ", "", 1))
		out := h.must(1, "plan")
		assert.Contains(t, out, "Missing prerequisite")
		assert.Contains(t, out, "main.hcl")
		assert.Contains(t, out, "tcp_dst = 80")
		h.config(switched)
	})
	eventually := func(t *testing.T, flows string) {
		h := h.within(t)
		assert.Eventually(t, func() bool {
			_, now := h.Run(t.Context(), "sh", "-c", "ovs-ofctl -O OpenFlow14 --names --no-stats dump-flows ovsbr0 | sort")
			return now == flows
		}, time.Minute, 300*time.Millisecond, "the flows are not there")
		_, said := h.Run(t.Context(), "sh", "-c", "journalctl -b -u 'opdbus-*' | tail -40; ovs-ofctl -O OpenFlow14 dump-flows ovsbr0")
		if t.Failed() {
			t.Log(said)
		}
		h.Do("sh", "-c", "for i in $(seq 100); do systemctl is-active opdbus-switch.service | grep -q activating || break; sleep 0.1; done")
	}
	own := func(all string) string {
		var kept []string
		for _, line := range strings.Split(all, "\n") {
			if !strings.Contains(line, "cookie=0x7,") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n")
	}
	inNamespace := strings.Replace(switched, `port "p0"`, `port "blue_100" {
    bridge    = "ovsbr0"
    type      = "internal"
    netns     = "b"
    addresses = ["10.1.0.50/24"]
  }
  port "p0"`, 1)
	t.Run("a port in a network namespace", func(t *testing.T) {
		h := h.within(t)
		h.config(inNamespace)
		assert.Contains(t, h.must(5, "apply", "--auto-approve"), "there is no network namespace b: ip netns add b makes it")
		assert.NotContains(t, h.Do("ovs-vsctl", "show"), "blue_100", "it is taken back")
		h.must(0, "release")
		h.Do("ip", "netns", "add", "b")
		h.must(0, "apply", "--auto-approve")
		assert.True(t, h.pings("b", "10.1.0.12"))
		h.config(strings.Replace(inNamespace, `netns     = "b"`, "", 1))
		h.must(0, "apply", "--auto-approve")
		assert.Contains(t, h.Do("ip", "-br", "addr", "show", "up"), "10.1.0.50/24")
		assert.NotContains(t, h.Do("ip", "-n", "b", "-br", "addr"), "10.1.0.50/24")
		h.must(0, "plan", "--detailed-exitcode")
		h.must(0, "undo", "--auto-approve")
		assert.True(t, h.pings("b", "10.1.0.12"), "it is back there with its address")
		h.must(0, "release")
		h.config(inNamespace)
		h.must(0, "plan", "--detailed-exitcode")
	})
	t.Run("the flows and links come back when the daemon was killed", func(t *testing.T) {
		h := h.within(t)
		h.Do("systemctl", "daemon-reload")
		h.Do("systemctl", "start", "opdbus-switch.path")
		h.Do("sh", "-c", "kill -9 $(cat /run/openvswitch/ovs-vswitchd.pid)")
		eventually(t, own(flows))
		assert.True(t, h.pings("p", "10.1.0.12"))
		assert.True(t, h.pings("p", "10.1.0.1"), "the bridge's own link")
		assert.True(t, h.pings("b", "10.1.0.12"), "a port's link that was in a network namespace")
		h.must(0, "plan", "--detailed-exitcode")
		h.config(switched)
		h.must(0, "apply", "--auto-approve")
		assert.NotContains(t, h.Do("ip", "-n", "b", "-br", "addr"), "blue_100")
		h.Do("ip", "netns", "del", "b")
		h.Do("ovs-ofctl", "add-flow", "ovsbr0", "cookie=7,priority=77,udp,udp_dst=7,actions=drop")
	})
	t.Run("all of it comes back with a boot", func(t *testing.T) {
		h := h.within(t)
		h.Do("systemctl", "enable", "openvswitch-switch.service")
		h.Reboot()
		h.Do("systemctl", "is-system-running", "--wait")
		h.namespaces()
		eventually(t, own(flows))
		assert.Contains(t, h.Do("ip", "addr", "show", "ovsbr0"), "10.1.0.1/24")
		assert.Contains(t, h.Do("ip", "link", "show", "up", "internal_100"), "internal_100")
		if !assert.Eventually(t, func() bool { return h.pings("p", "10.1.0.12") }, time.Minute, time.Second) {
			t.Log(h.Do("sh", "-c", "ovs-vsctl show; ip -d link; for n in p q; do ip -n $n addr; ip -n $n neigh; done; ovs-appctl fdb/show ovsbr0; ovs-ofctl dump-ports ovsbr0; journalctl -b -u 'opdbus-*' | head -60"))
		}
		h.must(0, "plan", "--detailed-exitcode")
		h.Do("ovs-ofctl", "add-flow", "ovsbr0", "cookie=7,priority=77,udp,udp_dst=7,actions=drop")
	})
	t.Run("the database's server starts anew in the middle", func(t *testing.T) {
		h := h.within(t)
		pid := strings.TrimSpace(h.Do("cat", "/run/openvswitch/ovsdb-server.pid"))
		h.config(strings.Replace(strings.Replace(dropping(), "dependencies = [plugin.systemd]", "dependencies = [stage.wait]", 1), "10.1.0.100/24", "10.1.0.101/24", 1) + `
stage "wait" {
  dependencies = [plugin.systemd]
  verify "restarted" { command = ["sh", "-c", "kill -9 ` + pid + ` || exit 0; sleep 2; ovs-vsctl --retry --timeout=60 show"] }
}
`)
		// Systemd starts ovs-vswitchd anew with it, without flows. Either the run is over by then, or it meets a bridge that nothing serves.
		code, out := h.opdbus("apply", "--auto-approve")
		assert.NotEqual(t, pid, strings.TrimSpace(h.Do("cat", "/run/openvswitch/ovsdb-server.pid")), "it was started anew in the middle")
		settled := func() {
			assert.Eventually(t, func() bool { code, _ := h.opdbus("plan", "--detailed-exitcode"); return code == 0 }, time.Minute, time.Second)
		}
		if code != 0 {
			assert.Equal(t, 5, code, out)
			assert.Contains(t, out, "ovs-vswitchd")
			assert.Contains(t, out, "the host is as it was before")
			eventually(t, own(flows))
			h.must(0, "release")
			h.must(0, "apply", "--auto-approve")
		}
		settled()
		assert.False(t, h.pings("p", "10.1.0.12"))
		h.config(switched)
		h.must(0, "apply", "--auto-approve")
		settled()
		assert.True(t, h.pings("p", "10.1.0.12"))
	})
	t.Run("a switch that does not run", func(t *testing.T) {
		h := h.within(t)
		h.config(strings.Replace(strings.Replace(dropping(), `unit "openvswitch-switch.service" { active = true }`, "", 1), "10.1.0.100/24", "10.1.0.101/24", 1))
		h.must(0, "plan")
		h.Do("sh", "-c", "systemctl stop openvswitch-switch.service ovs-vswitchd.service ovsdb-server.service")
		out := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, out, "systemctl start")
		h.Do("sh", "-c", "systemctl start openvswitch-switch.service")
		eventually(t, own(flows))
		h.config(switched)
		h.opdbus("apply", "--auto-approve")
		h.must(0, "plan", "--detailed-exitcode")
		h.Do("ovs-ofctl", "add-flow", "ovsbr0", "cookie=7,priority=77,udp,udp_dst=7,actions=drop")
	})
	t.Run("all of it goes, and what is somebody else's stays", func(t *testing.T) {
		h := h.within(t)
		assert.Equal(t, before, theirs())
		out := h.must(5, "destroy", "--auto-approve")
		assert.Contains(t, out, "it has ports that opdbus did not make: [t1]")
		assert.Equal(t, before, theirs())
		h.Do("ovs-vsctl", "del-port", "t1")
		h.must(0, "release")
		h.must(0, "destroy", "--auto-approve")
		h.Do("systemctl", "start", "openvswitch-switch.service")
		assert.NotContains(t, h.Do("ovs-vsctl", "show"), "ovsbr0")
		assert.Contains(t, h.Do("ovs-vsctl", "show"), "theirs")
	})
}
