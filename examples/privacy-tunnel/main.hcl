plugin "systemd" {
  unit "openvswitch-switch.service" {
    enabled = true
    active  = true
  }
}

network "net" {
  dependencies = [plugin.systemd]

  bridge "ovsbr0" {
    driver    = "openvswitch"
    addresses = ["10.0.0.1/24"]
  }

  port "internal_100" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.0.0.100/24"]
  }

  port "internal_101" {
    bridge    = "ovsbr0"
    type      = "internal"
    addresses = ["10.0.0.101/24"]
  }
}

plugin "openflow" {
  dependencies = [network.net]

  bridge "ovsbr0" {
    security_profile = "basic"

    flow "table=0,priority=100" {
      table    = 0
      priority = 100
      match    = {}
      actions  = ["normal"]
    }
  }
}
