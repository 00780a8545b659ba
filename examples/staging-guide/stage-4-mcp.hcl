# The MCP server, with the directory where it keeps what it learnt by introspection.
stage "stage-4-mcp" {
  description  = "MCP server and discovery of plugins"
  component    = "mcp"
  version      = var.release
  source       = "components/mcp"
  dependencies = ["stage-1-core-dbus", "stage-2-plugins"]

  file "bin/op-dbus-mcp" {
    target = "/usr/local/bin/op-dbus-mcp"
    type   = "symlink"
    mode   = "0755"
  }

  file "etc/op-dbus/mcp.json" {
    target = "/etc/op-dbus/mcp.json"
    type   = "copy"
    mode   = "0640"
  }

  file "introspection" {
    target = "/var/cache/op-dbus/introspection"
    type   = "directory"
    mode   = "0750"
  }
}
