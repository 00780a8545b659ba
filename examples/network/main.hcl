# A bridge with an address, a pair whose one end is in it (move the other into a network namespace), and marked packets that take another way.
# Try it on a machine of its own: opdbus plan, then opdbus apply; ip addr, ip route show table 100, ip rule.

network "lab" {
  description = "a network that touches nothing else on the host"

  link "lab0" {
    kind      = "bridge"
    addresses = ["198.51.100.1/24", "2001:db8:51::1/64"]
  }
  link "lab1" {
    kind   = "veth"
    peer   = "lab2"
    master = "lab0"
    mtu    = 1400
  }

  route "marked" {
    destination = "default"
    via         = "198.51.100.2"
    link        = "lab0"
    table       = 100
  }
  rule "marked" {
    priority = 100
    fwmark   = 7
    table    = 100
  }

  sysctl "net.ipv4.conf.lab0.rp_filter" { value = "2" }
}
