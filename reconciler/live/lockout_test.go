package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// managed is a host that is reached over a bridge of Open vSwitch: at the bridge's own address from one network namespace, and at that of an
// internal port from another. A second bridge has nothing to do with either.
const managed = `
plugin "systemd" {
  unit "openvswitch-switch.service" { active = true }
}
plugin "net" {}
network "lan" {
  dependencies = [plugin.systemd]
  bridge "ovsbr0" {
    datapath_type = "netdev"
    fail_mode     = "secure"
    addresses     = ["10.1.0.1/24"]
    external_ids  = { role = "lab" }
  }
  port "mgmt0" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.2.0.1/24"]
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
network "other" {
  dependencies = [plugin.systemd]
  bridge "other0" {
    datapath_type = "netdev"
    fail_mode     = "secure"
    external_ids  = { role = "other" }
  }
  port "o0" {
    bridge    = "other0"
    type      = "internal"
    tag       = 7
    addresses = ["10.3.0.1/24"]
  }
}
plugin "openflow" {
  dependencies = [network.lan, network.other]
  bridge "ovsbr0" {
    security_profile = "basic"
    # more
  }
  bridge "other0" {
    flow "web" {
      priority = 50
      match    = { tcp = true, tcp_dst = 80 }
      actions  = ["drop"]
    }
  }
}
`

// login has whoever connects run one command line, as sshd(8) does: what is printed goes back over the connection.
const login = `#!/bin/bash
read -r local command
export SSH_CONNECTION="$REMOTE_ADDR $REMOTE_PORT $local 22"
sh -c "env -u SSH_CONNECTION $command; echo exit code \$?" # as sudo(8) has it
`

// login starts what listens on port 22.
func (h *host) login() {
	h.t.Helper()
	h.Put("/root/login", login, 0o755)
	h.Put("/etc/systemd/system/login.socket", "[Socket]\nListenStream=0.0.0.0:22\nAccept=yes\n", 0o644)
	h.Put("/etc/systemd/system/login@.service", "[Service]\nExecStart=/root/login\nStandardInput=socket\nStandardOutput=socket\nStandardError=socket\nEnvironment=HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin\n", 0o644)
	h.Do("systemctl", "daemon-reload")
	h.Do("systemctl", "start", "login.socket")
}

// over runs opdbus by a connection from a network namespace to an address, and returns what comes back over it.
func (h *host) over(from, to, args string) string {
	h.t.Helper()
	_, out := h.Run(h.t.Context(), "ip", "netns", "exec", from, "timeout", "20", "bash", "-c", `exec 3<>/dev/tcp/$0/22 && echo "$0 $1" >&3 && cat <&3`, to, "opdbus --chdir /root/config "+args)
	return out
}

// TestLockout is on a host that is reached over a bridge of Open vSwitch. What could cut the connection is said in the plan and not done without a
// way back, which is taken where nobody confirms; what could not is not flagged.
func TestLockout(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.config(managed)
	h.must(0, "apply", "--auto-approve")
	h.namespaces()
	h.Do("sh", "-c", "ip -n q addr flush dev q1; ip -n q addr add 10.2.0.12/24 dev q1")
	for _, of := range []string{"p", "q"} { // the switch in userspace sends on what a veth leaves for a network card to add: the checksum of TCP
		h.Do("ip", "netns", "exec", of, "perl", "-e", `socket($s, 2, 2, 0); $value = pack("LL", 0x17, 0); # ETHTOOL_STXCSUM, SIOCETHTOOL
			ioctl($s, 0x8946, $request = pack("a16Px16", $ARGV[0], $value)) || die $!`, of+"1")
	}
	h.login()
	require.True(t, h.pings("p", "10.1.0.1"))
	require.True(t, h.pings("q", "10.2.0.1"))
	state := func() string {
		return h.network() + h.Do("sh", "-c", "ovs-vsctl show; ovs-vsctl --columns=name,external_ids,fail_mode list bridge") + h.flows("ovsbr0") + h.flows("other0")
	}
	before := state()
	const (
		bridge = `
  bridge "ovsbr0" {
    datapath_type = "netdev"
    fail_mode     = "secure"
    addresses     = ["10.1.0.1/24"]
    external_ids  = { role = "lab" }
  }`
		port = `
  port "mgmt0" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.2.0.1/24"]
  }`
	)
	ways := []struct{ from, peer, to string }{{"p", "10.1.0.11", "10.1.0.1"}, {"q", "10.2.0.12", "10.2.0.1"}}
	changed := func(pairs ...string) string {
		text := managed
		for i := 0; i < len(pairs); i += 2 {
			require.Contains(t, text, pairs[i])
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		return text
	}
	withoutBridge := changed(bridge, "", port, "", `
  port "p0" { bridge = "ovsbr0" }
  port "q0" { bridge = "ovsbr0" }`, "", `
  bridge "ovsbr0" {
    security_profile = "basic"
    # more
  }`, "")
	flow := `flow "ssh" {
      priority = 70
      match    = { tcp = true, tcp_dst = 22 }
      actions  = ["normal"]
    }`
	for name, c := range map[string]struct{ config, flagged string }{
		"the bridge changes":              {changed(`role = "lab"`, `role = "none"`), `bridge["ovsbr0"] carries`},
		"the bridge falls back":           {changed(`fail_mode     = "secure"`, `fail_mode     = "standalone"`), `bridge["ovsbr0"] carries`},
		"the bridge goes":                 {withoutBridge, `bridge["ovsbr0"] carries`},
		"its flows go with it":            {withoutBridge, `flow["ovsbr0 basic/arp"] is on the bridge of`},
		"the port by which it goes":       {changed(`port "q0" { bridge = "ovsbr0" }`, "port \"q0\" {\n bridge = \"ovsbr0\"\n tag = 7\n}"), `port["q0"] is on the bridge of`},
		"that port goes":                  {changed(`port "p0" { bridge = "ovsbr0" }`, ""), `port["p0"] is on the bridge of`},
		"the link that is the port":       {changed("peer = \"p1\"", "peer = \"p1\"\n    mtu = 1300"), `link["p0"] carries`},
		"a port of the bridge moves":      {changed(`port "p0" { bridge = "ovsbr0" }`, `port "p0" { bridge = "other0" }`), `port["p0"] is on the bridge of`},
		"a flow comes":                    {changed("# more", flow), `flow["ovsbr0 ssh"] is on the bridge of`},
		"all flows of the profile change": {changed(`"basic"`, `"strict"`), `is on the bridge of`},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.within(t)
			h.config(c.config)
			for _, way := range ways {
				plan := h.over(way.from, way.to, "plan")
				assert.Contains(t, plan, c.flagged+" your connection from "+way.peer)
				assert.Contains(t, plan, "exit code 0")
			}
			out := h.over(ways[0].from, ways[0].to, "apply --auto-approve")
			assert.Contains(t, out, "the plan could lock you out")
			assert.Contains(t, out, "exit code 8")
		})
	}
	require.Equal(t, before, state(), "nothing was changed")

	t.Run("what does not carry it", func(t *testing.T) {
		h := h.within(t)
		h.config(changed(`role = "other"`, `role = "another"`, "= 7", "= 8", "tcp_dst = 80", "tcp_dst = 8080"))
		for _, way := range ways {
			plan := h.over(way.from, way.to, "plan")
			for _, object := range []string{`~ bridge["other0"]`, `~ port["o0"]`, `~ flow["other0 web"]`} {
				assert.Contains(t, plan, object)
			}
			assert.NotContains(t, plan, "your connection")
		}
		assert.Contains(t, h.over("p", "10.1.0.1", "apply --auto-approve"), "exit code 0")
		h.config(managed)
		assert.Contains(t, h.over("q", "10.2.0.1", "apply --auto-approve"), "exit code 0")
		require.Equal(t, before, state())
	})
	t.Run("nobody confirms", func(t *testing.T) {
		h := h.within(t)
		h.config(changed("# more", `flow "cut" {
      priority = 70
      match    = { ip = true, in_port = "p0" }
      actions  = ["drop"]
    }`))
		h.Do("systemd-run", "--quiet", "--unit=pinging", "sh", "-c", "exec ip netns exec p ping -n -O -i 0.2 10.1.0.1 >/root/pings")
		said := h.over("p", "10.1.0.1", "apply --auto-approve --confirm-timeout 4s") // comes back when it is taken back: TCP asks again
		assert.Contains(t, said, "exit code 0")
		assert.Eventually(t, func() bool { return h.pings("p", "10.1.0.1") }, 20*time.Second, 200*time.Millisecond)
		pings := ""
		for line := range strings.Lines(h.Do("sh", "-c", "sleep 1; systemctl stop pinging; cat /root/pings")) {
			switch {
			case strings.Contains(line, "bytes from"):
				pings += "+"
			case strings.Contains(line, "no answer yet"):
				pings += "-"
			}
		}
		assert.Regexp(t, `\+-{10,}\+`, pings, "they stop and come back")
		assert.Contains(t, h.must(0, "history"), "taken back")
		require.Equal(t, before, state())
	})
}
