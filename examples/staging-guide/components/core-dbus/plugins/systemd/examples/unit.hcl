plugin "systemd" {
  unit "openvswitch-switch.service" {
    enabled = true
    active  = true
  }
}
