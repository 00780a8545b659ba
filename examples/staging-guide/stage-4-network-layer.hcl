# The network layer: what must be there before OpenFlow can program a bridge. Its name says 4, but stage 3 needs it.
stage "stage-4-network-layer" {
  description  = "forwarding, modules and hooks of the network layer"
  component    = "network-layer"
  version      = var.release
  source       = "components/network-layer"
  dependencies = ["stage-1-core-dbus"]

  file "etc/sysctl.d/60-op-dbus.conf" {
    target = "/etc/sysctl.d/60-op-dbus.conf"
    type   = "copy"
  }

  file "etc/modules-load.d/op-dbus.conf" {
    target = "/etc/modules-load.d/op-dbus.conf"
    type   = "copy"
  }

  # One link for each hook that the component brings; a hook that is added to it is linked by the next apply.
  dynamic "file" {
    for_each = fileset("components/network-layer", "hooks/*")
    labels   = [file.value]
    content {
      target = "/etc/op-dbus/${file.value}"
      type   = "symlink"
    }
  }
}
