plugin "netmaker" {
  network "mesh" {
    server      = "netmaker.example"
    token_file  = "/etc/op-dbus/netmaker.token"
    listen_port = 51821
  }
}
