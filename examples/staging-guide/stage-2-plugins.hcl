# Containers, packages, name resolution and PCI devices.
stage "stage-2-plugins" {
  description  = "plugin extensions"
  component    = "plugins"
  version      = var.release
  source       = "components/plugins"
  plugins      = ["lxc", "packagekit", "dnsresolver", "pcidecl"]
  dependencies = ["stage-1-core-dbus"]

  # A whole directory behind one link.
  file "schemas" {
    target = "/usr/local/share/op-dbus/schemas"
    type   = "symlink"
  }
}
