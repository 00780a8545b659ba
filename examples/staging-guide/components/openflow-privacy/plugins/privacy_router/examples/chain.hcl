plugin "privacy_router" {
  chain "home" {
    bridge      = "ovsbr0"
    subnet      = "10.0.0.0/24"
    kill_switch = true
    hop "wireguard" {
      address          = "10.0.0.100/24"
      private_key_file = "/etc/wireguard/gateway.key"
      listen_port      = 51820
    }
    hop "warp" {
      address      = "10.0.0.101/24"
      profile_file = "/etc/op-dbus/warp.conf"
    }
    hop "xray" {
      address     = "10.0.0.102/24"
      config_file = "/etc/op-dbus/xray.json"
    }
  }
}
