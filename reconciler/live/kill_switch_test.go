package live_test

import (
	"regexp"
	"testing"
)

// bridged is a bridge of Open vSwitch with a port of its own and a link, each with what belongs to it, and flows, on a switch where somebody
// else has a bridge, a port and flows, one of which is on the bridge of opdbus'.
const bridged = `
plugin "net" {}
network "lan" {
  bridge "ovsbr0" {
    datapath_type = "netdev"
    fail_mode     = "secure"
    external_ids  = { role = "lab" }
    addresses     = ["10.1.0.1/24"]
  }
  port "internal_100" {
    bridge    = "ovsbr0"
    type      = "internal"
    tag       = 100
    addresses = ["10.1.0.100/24"]
  }
  link "p0" {
    kind = "veth"
    peer = "p1"
    mac  = "02:00:00:00:00:10"
  }
  link "p1" {
    kind = "veth"
    peer = "p0"
    mac  = "02:00:00:00:00:11"
  }
  port "p0" { bridge = "ovsbr0" }
}
plugin "openflow" {
  dependencies = [network.lan]
  bridge "ovsbr0" {
    security_profile = "basic"
    flow "web" {
      priority = 50
      match    = { tcp = true, in_port = "p0", tcp_dst = 80 }
      actions  = ["output:internal_100"]
    }
  }
  bridge "theirs" {
    flow "no-telnet" {
      priority = 50
      match    = { tcp = true, tcp_dst = 23 }
      actions  = ["drop"]
    }
  }
}
`

// switched is what there is of the switch and of the network, without numbers, and addresses that are others each time.
func (h *host) switched() string {
	h.t.Helper()
	all := h.Do("sh", "-c", `for table in Bridge:name,datapath_type,fail_mode,protocols,external_ids,other_config,stp_enable Port:name,tag,trunks,external_ids Interface:name,type,options,error; do
	ovs-vsctl --format=csv --columns=${table#*:} list ${table%:*} | sort
done
for bridge in $(ovs-vsctl list-br); do echo $bridge: $(ovs-vsctl list-ports $bridge); ovs-ofctl -O OpenFlow14 --names --no-stats dump-flows $bridge | sort; done
ovs-appctl dpctl/show | grep -o 'port [0-9]*: .*' | sed 's/port [0-9]*//' | sort`)
	return all + regexp.MustCompile(`(?m)^((?:ovsbr0|internal_100)[ :].*link/ether) \S+`).ReplaceAllString(h.network(), "$1")
}

// TestKillSwitch is TestKill for a switch: what is half made of bridges, ports and flows goes, and what is somebody's stays.
func TestKillSwitch(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Do("sh", "-c", `systemctl start openvswitch-switch.service
ovs-vsctl add-br theirs -- set bridge theirs datapath_type=netdev other_config:hwaddr=02:00:00:00:00:01 -- add-port theirs t0 -- set interface t0 type=internal 'mac="02:00:00:00:00:02"'
ovs-ofctl add-flow theirs cookie=7,priority=77,udp,udp_dst=7,actions=drop`)
	h.killEach(bridged, 36, h.switched)
}
