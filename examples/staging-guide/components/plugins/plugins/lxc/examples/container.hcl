plugin "lxc" {
  container "gateway" {
    hostname  = "gateway"
    state     = "running"
    autostart = true
    memory    = "256M"
    network "eth0" {
      bridge  = "ovsbr0"
      veth    = "vi100"
      address = "10.0.0.100/24"
      gateway = "10.0.0.1"
    }
  }
}
