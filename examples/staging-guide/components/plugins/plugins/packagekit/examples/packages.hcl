plugin "packagekit" {
  package "openvswitch-switch" {
    ensure = "installed"
  }
}
