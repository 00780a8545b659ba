plugin "login1" {
  linger "op-dbus" {
    enabled = true
  }
}
