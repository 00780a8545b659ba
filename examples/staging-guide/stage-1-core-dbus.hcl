# The core: the op-dbus command, its default state, and the plugins that everything else needs.
stage "stage-1-core-dbus" {
  description = "core D-Bus and base plugins"
  component   = "core-dbus"
  version     = var.release
  source      = "components/core-dbus"
  plugins     = ["net", "systemd", "login1"]

  file "bin/op-dbus" {
    target = "/usr/local/bin/op-dbus"
    type   = "symlink"
    mode   = "0755"
  }

  # Written once; what an administrator changes in it afterwards is left alone.
  file "etc/op-dbus/state.json" {
    target = "/etc/op-dbus/state.json"
    type   = "copy-if-not-exists"
  }

  # Not a file of the component: its content is made from the host and the variables.
  file "etc/motd" {
    target  = "/etc/motd.d/op-dbus"
    type    = "copy"
    content = templatefile("motd.tmpl", { host = host.name, release = var.release, gateway = local.gateway })
  }

  verify "version" {
    command     = ["/usr/local/bin/op-dbus", "--version"]
    expect_exit = 0
    timeout     = "10s"
  }
}
