plugin "privacy" {
  chain "lab" {
    bridge = "ovsbr0"
    subnet = "10.0.0.0/24"
    hop "wireguard" {
      address          = "10.0.0.100/24"
      private_key_file = "/etc/wireguard/lab.key"
    }
  }
}
