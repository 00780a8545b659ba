plugin "systemd" {
  unit "openvswitch-switch.service" {
    enabled = true
    active  = true
  }
}

network "main" {
  dependencies = [plugin.systemd]
  bridge "ovsbr0" {
    driver    = "openvswitch"
    addresses = ["10.0.0.1/24"]
  }
  port "internal_100" {
    type      = "internal"
    bridge    = "ovsbr0"
    addresses = ["10.0.0.100/24"]
  }
  port "internal_101" {
    type      = "internal"
    bridge    = "ovsbr0"
    addresses = ["10.0.0.101/24"]
  }
}

plugin "openflow" {
  dependencies = [network.main]
  bridge "ovsbr0" {
    security_profile = "basic"
    flow "flow-0" {
      table    = 0
      priority = 100
      actions  = ["normal"]
    }
  }
}
