# OpenFlow and the privacy router. Only where the feature is on, and after the network layer it programs.
stage "stage-3-openflow" {
  description      = "OpenFlow and privacy features"
  component        = "openflow-privacy"
  version          = var.release
  source           = "components/openflow-privacy"
  plugins          = ["openflow", "privacy_router", "privacy", "netmaker"]
  dependencies     = ["stage-1-core-dbus", "stage-2-plugins", stage.stage-4-network-layer]
  requires_feature = "openflow"

  file "share/privacy-network.json" {
    target = "/etc/op-dbus/privacy-network.json"
    type   = "copy-if-not-exists"
    mode   = "0640"
  }
}
