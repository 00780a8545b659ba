package live_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// network is a bridge with one end of a pair, whose other end is in a network namespace, and routes and rules.
const network = `
plugin "net" {}
network "lan" {
  route "default" {
    destination = "0.0.0.0/0"
    via         = "10.0.0.2"
    link        = "br0"
  }
  route "lab" {
    destination = "192.0.2.0/24"
    via         = "10.0.0.2"
    table       = 100
  }
  rule "lab" {
    priority = 100
    fwmark   = 7
    table    = 100
  }
  address "theirs" {
    link    = "s0"
    address = "198.51.100.9/24"
  }
  sysctl "net.ipv4.conf.br0.rp_filter" { value = "2" }
  link "p0" {
    kind   = "existing"
    master = "br0"
    mtu    = 1400
    up     = true
  }
  link "br0" {
    kind      = "bridge"
    addresses = ["10.0.0.1/24"]
  }
}
`

// network is the machine's, without numbers and what comes and goes by itself.
func (h *host) network() string {
	h.t.Helper()
	all := h.Do("sh", "-c", `for of in "-d link" addr "route show table all" "-6 route show table all" rule "-6 rule"; do ip -o $of; done; sysctl net.ipv4.conf.all.rp_filter`)
	all = regexp.MustCompile(`(?m)^\d+: |@if\d+|(promiscuity|allmulti) \d+ |\w+_timer +[\d.]+ |valid_lft.*|state \S+ |qdisc \S+ |qlen \d+|NO-CARRIER,|,?LOWER_UP| linkdown`).ReplaceAllString(all, "")
	var lines []string
	for _, line := range strings.Split(all, "\n") {
		if !strings.Contains(line, "fe80::") && !strings.Contains(line, "ff00::/8") && !strings.Contains(line, "multicast ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// reaches says that packets come to an address and back: whoever has it refuses the connection, as nobody listens there.
func (h *host) reaches(address string, with ...string) {
	h.t.Helper()
	_, out := h.Run(h.t.Context(), append(with, "timeout", "5", "bash", "-c", "exec 3<>/dev/tcp/"+address+"/9")...)
	require.Contains(h.t, out, "Connection refused")
}

// networked is a machine with a pair of which one end is in a network namespace, and a bridge, an address, a route and a rule of somebody's.
func networked(t *testing.T) *host {
	t.Helper()
	h := newHost(t)
	h.Do("sh", "-c", `ip netns add n0
ip link add p0 type veth peer name p1 netns n0
ip -n n0 addr add 10.0.0.2/24 dev p1; ip -n n0 link set p1 up; ip -n n0 route add default via 10.0.0.1
ip link add s0 address 02:00:00:00:00:01 type bridge; ip link set s0 up; ip addr add 198.51.100.1/24 dev s0
ip route add 203.0.113.0/24 via 198.51.100.7; ip route add default via 198.51.100.7 metric 500 proto dhcp
ip rule add priority 99 fwmark 6 table 99`)
	return h
}

// TestNetwork applies a network, changes each object by hand, has drift name exactly it and apply mend it, and takes all of it away.
func TestNetwork(t *testing.T) {
	t.Parallel()
	h := networked(t)
	before := h.network()
	h.config(network)
	h.must(2, "plan", "--detailed-exitcode")
	require.Equal(t, before, h.network(), "a plan changes nothing")
	h.must(0, "apply", "--auto-approve")
	h.must(0, "plan", "--detailed-exitcode")
	after := h.network()
	h.reaches("10.0.0.2")
	h.reaches("10.0.0.1", "ip", "netns", "exec", "n0")
	for _, theirs := range []string{"203.0.113.0/24 via 198.51.100.7 dev s0", "default via 198.51.100.7 dev s0 proto dhcp metric 500"} {
		assert.Contains(t, h.Do("ip", "route"), theirs)
	}
	assert.Contains(t, h.must(0, "query", "--plugin", "net"), "br0 10.0.0.1/24")

	for object, command := range map[string]string{
		`link["p0"]`:                            "ip link set p0 mtu 1300",
		`address["theirs"]`:                     "ip addr del 198.51.100.9/24 dev s0",
		`sysctl["net.ipv4.conf.br0.rp_filter"]`: "sysctl -w net.ipv4.conf.br0.rp_filter=1",
		`route["lab"]`:                          "ip route change 192.0.2.0/24 via 198.51.100.7 table 100 proto 111",
		`rule["lab"]`:                           "ip rule del priority 100",
	} {
		h.Do("sh", "-c", command)
		drift := h.must(2, "drift")
		assert.Equal(t, 1, strings.Count(drift, "network.lan."), "%s: %s", object, drift)
		assert.Contains(t, drift, "network.lan."+object)
		h.must(0, "apply", "--auto-approve")
		require.Equal(t, after, h.network(), object)
	}

	t.Run("a default route is never absent, and a link never without its address", func(t *testing.T) {
		h := h.within(t)
		h.Do("sh", "-c", "ip -n n0 addr add 10.0.0.3/24 dev p1; systemd-run --quiet --unit=watcher sh -c 'exec ip -o monitor route address >/run/seen'; sleep 1")
		h.config(strings.NewReplacer(`"10.0.0.2"`, `"10.0.0.3"`, "10.0.0.1/24", "10.0.0.11/24").Replace(network))
		h.must(0, "apply", "--auto-approve")
		seen := h.Do("sh", "-c", "sleep 1; systemctl stop watcher; cat /run/seen")
		at := func(text string) int {
			require.Contains(t, seen, text)
			return strings.Index(seen, text)
		}
		assert.NotContains(t, seen, "Deleted default")
		assert.Contains(t, seen, "default via 10.0.0.3")
		added := regexp.MustCompile(`(?m)^\d+: br0 +inet 10\.0\.0\.11/24`).FindStringIndex(seen)
		require.NotNil(t, added, seen)
		assert.Less(t, added[0], at("Deleted"), "%s", seen)
		h.reaches("10.0.0.3")
		h.must(0, "rollback", "network.lan", "--auto-approve")
		require.Equal(t, after, h.network())
	})

	t.Run("what carries the connection is not changed without a way back", func(t *testing.T) {
		h := h.within(t)
		h.config(strings.Replace(network, `kind      = "bridge"`, "kind      = \"bridge\"\n    mtu       = 1399", 1))
		// As under sudo: only the process that started opdbus has it.
		over := func(args string) (int, string) {
			return h.Run(t.Context(), "env", "SSH_CONNECTION=10.0.0.2 50000 10.0.0.1 22", "sh", "-c", "env -u SSH_CONNECTION opdbus --chdir /root/config "+args+"; exit $?")
		}
		code, said := over("plan")
		assert.Zero(t, code)
		assert.Contains(t, said, `link["br0"] carries your connection from 10.0.0.2`)
		code, said = over("apply --auto-approve")
		assert.Equal(t, 8, code)
		assert.Contains(t, said, "the plan could lock you out")
		require.Equal(t, after, h.network())
		code, said = over("apply --auto-approve --confirm-timeout 1s")
		assert.Zero(t, code, said)
		assert.NotEqual(t, after, h.network())
		h.Do("sh", "-c", "until opdbus history | grep -q 'taken back'; do sleep 0.2; done")
		require.Equal(t, after, h.network())
		h.must(0, "release")
		code, said = over("apply --auto-approve --allow-lockout")
		assert.Zero(t, code, said)
		h.config(network)
		h.must(0, "undo", "--auto-approve")
		require.Equal(t, after, h.network())
	})

	t.Run("what fails is taken back", func(t *testing.T) {
		h := h.within(t)
		h.config(network + `
network "more" {
  dependencies = [network.lan]
  link "q0" { kind = "bridge" }
  route "far" {
    destination = "233.252.0.0/24"
    via         = "192.0.2.99"
    link        = "q0"
  }
}
`)
		said := h.must(5, "apply", "--auto-approve")
		assert.Contains(t, said, "no address of a link that is up is in one network with the gateway 192.0.2.99")
		require.Equal(t, after, h.network())
		h.must(0, "release")
		h.config(network)
	})

	t.Run("what somebody else has is a conflict", func(t *testing.T) {
		h := h.within(t)
		h.config(network + "network \"more\" {\n  link \"s0\" { kind = \"bridge\" }\n}\n")
		assert.Contains(t, h.must(1, "plan"), `declare that one with kind = "existing"`)
		h.config(network)
	})

	h.must(0, "destroy", "--auto-approve")
	require.Equal(t, before, h.network())
}

// more is a pair: its links have addresses of their own, which without mac would be others each time.
const more = `
network "more" {
  link "q0" {
    kind      = "veth"
    peer      = "q1"
    mac       = "02:00:00:00:00:10"
    addresses = ["192.0.2.1/24"]
  }
  link "q1" {
    kind = "veth"
    peer = "q0"
    mac  = "02:00:00:00:00:11"
  }
}
`

// TestKillNetwork is TestKill for a network: what is half made goes by its name or its mark, and what is somebody's stays.
func TestKillNetwork(t *testing.T) {
	t.Parallel()
	h := networked(t)
	h.killEach(network+more, 12, h.network)
}
