package desired_test

import (
	"testing"

	"github.com/opdbus/opdbus/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Run("reads a stage with its files", func(t *testing.T) {
		dir := write(t, "main.hcl", `
stage "core" {
  component = "core-dbus"
  version   = "1.0.0"
  source    = "payload"
  plugins   = ["net", "systemd"]

  file "bin/op-dbus" {
    target = "/usr/local/bin/op-dbus"
    type   = "symlink"
    mode   = "0755"
  }
  file "etc/motd" {
    target  = "/etc/motd"
    content = "hello ${host.name}"
  }
  verify "version" {
    command = ["/usr/local/bin/op-dbus", "--version"]
  }
}

plugin "systemd" {
  unit "a.service" {
    enabled = true
  }
}
`, "payload/bin/op-dbus", "x")
		c := loadDir(t, options(dir))
		require.Len(t, c.Nodes, 2)
		n := c.Nodes[0]
		assert.Equal(t, stage{Component: "core-dbus", Version: "1.0.0", Source: dir + "/payload", Plugins: []string{"net", "systemd"}}, n.Self)
		require.Len(t, n.Objects, 2)
		hello := "hello pve1"
		assert.Equal(t, file{Path: "etc/motd", Target: "/etc/motd", Content: &hello}, n.Objects[1].Object)
		assert.Equal(t, `stage.core.file["bin/op-dbus"]`, n.Objects[0].Addr.String())
		assert.Equal(t, "main.hcl:8,3", n.Objects[0].Source.String())
		assert.Equal(t, "main.hcl:10,5", n.Objects[0].Attr("type").String())
		assert.Equal(t, n.Objects[0].Source, n.Objects[0].Attr("owner"))
		assert.Equal(t, []state.Dependency{{On: n.Addr, Why: "registers it", Source: n.Attr("plugins")}}, c.Nodes[1].DependsOn)
	})
}
