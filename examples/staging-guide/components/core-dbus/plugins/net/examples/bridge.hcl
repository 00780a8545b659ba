plugin "net" {
  bridge "ovsbr0" {
    driver    = "openvswitch"
    addresses = ["10.0.0.1/24"]
    fail_mode = "standalone"
  }
  port "internal_100" {
    bridge = "ovsbr0"
    type   = "internal"
  }
}
