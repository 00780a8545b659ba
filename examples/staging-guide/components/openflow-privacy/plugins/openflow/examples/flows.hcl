plugin "openflow" {
  bridge "ovsbr0" {
    security_profile = "basic"
    flow "gateway" {
      priority = 100
      match    = { ip = "", nw_dst = "10.0.0.100" }
      actions  = ["normal"]
    }
  }
}
