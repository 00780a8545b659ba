package desired_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world prints a configuration, all but the places in it.
func world(c *state.Config) string {
	var b strings.Builder
	for _, n := range c.Nodes {
		fmt.Fprintf(&b, "%s %s\n", n.Addr, values(n.Self))
		for _, d := range n.DependsOn {
			fmt.Fprintf(&b, "  needs %s: %s\n", d.On, d.Why)
		}
		for _, o := range n.Objects {
			fmt.Fprintf(&b, "  %s %s", o.Addr.Local(), values(o.Object))
			if len(o.Sensitive) > 0 {
				fmt.Fprintf(&b, " sensitive %v", o.Sensitive)
			}
			b.WriteString("\n")
		}
	}
	for _, s := range c.Skipped {
		fmt.Fprintf(&b, "skipped %s: %s\n", s.Addr, s.Reason)
	}
	for _, o := range c.Outputs {
		fmt.Fprintf(&b, "output %s = %s %s\n", o.Name, o.Value, o.Type)
	}
	return b.String()
}

// values prints what is set.
func values(o state.Object) string {
	text, _ := json.Marshal(o)
	var all map[string]any
	_ = json.Unmarshal(text, &all)
	for k, v := range all {
		if v == nil || v == "" || v == 0.0 {
			delete(all, k)
		}
	}
	text, _ = json.Marshal(all)
	return string(text)
}

const everything = `
opdbus {
  features = [var.feature]
  store    = "/srv/store"
}
variable "feature" { default = "openflow" }
variable "secret" {
  default   = "hunter2"
  sensitive = true
}
locals {
  version = "1.${local.minor}"
  minor   = length(local.names)
  names   = ["a", "b"]
  where   = stage.core.path
}
stage "core" {
  version = local.version
  plugins = ["systemd"]
  file "bin/x" {
    target = "/usr/bin/x"
    mode   = 755
  }
}
stage "web" {
  for_each     = { a = "one", "b/c" = "two" }
  version      = each.value
  dependencies = ["core"]
  dynamic "file" {
    for_each = local.names
    iterator = it
    labels   = ["${each.key}-${it.key}"]
    content {
      target  = "/${each.key}/${it.value}"
      content = var.secret
    }
  }
}
stage "flow" {
  requires_feature = "openflow"
  dependencies     = [stage.web["a"]]
}
stage "kvm" {
  requires_feature = "kvm"
  dependencies     = [for k in ["a"] : "stage.web[\"${k}\"]"]
}
stage "not" {
  requires_feature = "missing"
  version          = stage.off.version
}
stage "off" { enabled = false }
plugin "systemd" {
  dependencies = [stage.web]
  unit "a.service" {
    enabled = length(stage.core.file) == 1
    active  = stage.core.file["bin/x"].owner == null
  }
}
network "lan" {
  dependencies = [plugin.systemd]
  wireguard "wg0" {
    listen_port = "51820"
    options     = { a = 1 }
    value       = { on = true, list = [1, 2.5, "x", null] }
    match { mac = stage.core.file["bin/x"].target }
    dynamic "peer" {
      for_each = toset(local.names)
      labels   = [peer.key]
      content {
        public_key  = local.where
        allowed_ips = [cidrhost("10.0.0.0/24", 7)]
      }
    }
  }
}
output "web" { value = { for k, v in stage.web : k => v.version } }
output "first" { value = stage.web["a"].file["a-0"].target }
output "secret" {
  value     = stage.web["a"].file["a-0"].content
  sensitive = true
}
`

func TestLanguage(t *testing.T) {
	t.Run("evaluates every block", func(t *testing.T) {
		want := `stage.core {"Plugins":["systemd"],"Version":"1.2"}
  file["bin/x"] {"Mode":"755","Path":"bin/x","Target":"/usr/bin/x"}
stage.flow {}
  needs stage.web["a"]: dependencies
stage.kvm {}
  needs stage.web["a"]: dependencies
stage.web["a"] {"Version":"one"}
  needs stage.core: dependencies
  file["a-0"] {"Content":"hunter2","Path":"a-0","Target":"/a/a"} sensitive [content]
  file["a-1"] {"Content":"hunter2","Path":"a-1","Target":"/a/b"} sensitive [content]
stage.web["b/c"] {"Version":"two"}
  needs stage.core: dependencies
  file["b/c-0"] {"Content":"hunter2","Path":"b/c-0","Target":"/b/c/a"} sensitive [content]
  file["b/c-1"] {"Content":"hunter2","Path":"b/c-1","Target":"/b/c/b"} sensitive [content]
plugin.systemd {}
  needs stage.core: a reference
  needs stage.web["a"]: dependencies
  needs stage.web["b/c"]: dependencies
  unit["a.service"] {"Active":true,"Enabled":true,"Name":"a.service"}
network.lan {}
  needs stage.core: a reference
  needs plugin.systemd: dependencies
  wireguard["wg0"] {"ListenPort":51820,"Match":{"MAC":"/usr/bin/x"},"Name":"wg0","Options":{"a":"1"},"Peers":[{"AllowedIPs":["10.0.0.7"],"Name":"a","PublicKey":"/srv/store/staging/core"},{"AllowedIPs":["10.0.0.7"],"Name":"b","PublicKey":"/srv/store/staging/core"}],"Value":{"list":[1,2.5,"x",null],"on":true}}
skipped stage.not: the feature "missing" is off
output first = "/a/a" "string"
output secret = "hunter2" "string"
output web = {"a":"one","b/c":"two"} ["object",{"a":"string","b/c":"string"}]
`
		assert.Equal(t, want, world(load(t, "main.hcl", everything)))
	})
	t.Run("is the same whatever file a block is in", func(t *testing.T) {
		one, two, ok := strings.Cut(everything, "stage \"flow\"")
		require.True(t, ok)
		assert.Equal(t, world(load(t, "main.hcl", everything)), world(load(t, "z.hcl", one, "a.hcl", "stage \"flow\""+two)))
	})
	t.Run("is the same in JSON", func(t *testing.T) {
		native := load(t, "main.hcl", `
variable "v" { type = list(string) }
stage "core" {
  version = "1"
  plugins = var.v
  file "a" { target = "/a" }
  file "b" { target = "/b" }
  dynamic "file" {
    for_each = ["x", "y"]
    labels   = [file.value]
    content { target = "/${file.value}" }
  }
  lifecycle {
    prevent_destroy = true
    ignore_changes  = [file["a"], file.mode]
  }
  verify "v" { command = ["/bin/true"] }
}
stage "two" {
  for_each     = { k = "v" }
  version      = each.value
  dependencies = [stage.core, plugin.lxc]
}
stage "three" { dependencies = ["core", stage.two["k"]] }
plugin "lxc" {}
moved {
  from = stage.old.file["x"]
  to   = stage.core.file["x2"]
}
removed {
  from = stage.gone
  lifecycle { destroy = false }
}
output "o" { value = stage.core.file["a"].target }
`, "x.auto.vars.hcl", `v = ["net"]`)
		inJSON := load(t, "main.hcl.json", `{
"variable": {"v": {"type": "list(string)"}},
"stage": {
  "core": {
    "version": "1", "plugins": "${var.v}",
    "file": {"a": {"target": "/a"}, "b": {"target": "/b"}},
    "dynamic": {"file": {"for_each": ["x", "y"], "labels": ["${file.value}"], "content": {"target": "/${file.value}"}}},
    "lifecycle": {"prevent_destroy": true, "ignore_changes": ["file[\"a\"]", "file.mode"]},
    "verify": {"v": {"command": ["/bin/true"]}}
  },
  "two": {"for_each": {"k": "v"}, "version": "${each.value}", "dependencies": ["stage.core", "${plugin.lxc}"]},
  "three": {"dependencies": ["core", "stage.two[\"k\"]"]}
},
"plugin": {"lxc": {}},
"moved": {"from": "stage.old.file[\"x\"]", "to": "stage.core.file[\"x2\"]"},
"removed": [{"from": "stage.gone", "lifecycle": {"destroy": false}}],
"output": {"o": {"value": "${stage.core.file[\"a\"].target}"}}
}`, "x.auto.vars.hcl.json", `{"v": ["net"]}`)
		assert.Equal(t, world(native), world(inJSON))
		assert.Equal(t, native.Node(state.NodeAddr{Type: "stage", Name: "core"}).Lifecycle, inJSON.Node(state.NodeAddr{Type: "stage", Name: "core"}).Lifecycle)
		assert.Equal(t, state.Lifecycle{PreventDestroy: true, IgnoreChanges: []string{`file["a"]`, "file.mode"}}, native.Nodes[0].Lifecycle)
		assert.Equal(t, native.Moved[0].To, inJSON.Moved[0].To)
		assert.Equal(t, "main.hcl.json:6,20", inJSON.Nodes[0].Objects[0].Attr("target").String())
		require.Len(t, inJSON.Removed, 1)
		assert.False(t, inJSON.Removed[0].Destroy)
	})
	t.Run("keeps settings, checks and the rest of a node", func(t *testing.T) {
		c := load(t, "main.hcl", `
opdbus {
  required_version = "~> 1.4"
  registry   = "/etc/x"
  on_failure = "node"
  snapshots {
    keep       = 5
    keep_days  = 30
    subvolumes = ["/home"]
  }
}
stage "a" {
  description = "the core"
  drift       = "alert"
  lifecycle {
    ignore_drift = all
  }
  health "up" {
    unit    = "a.service"
    retries = 3
    timeout = "1m"
  }
  verify "v" {
    command     = ["/bin/false"]
    expect_exit = 1
  }
}
`)
		n := c.Nodes[0]
		assert.Equal(t, 9, c.Settings.SubvolumesAt.Line)
		c.Settings.SubvolumesAt = state.Range{}
		n.Health[0].Source, n.Verify[0].Source = state.Range{}, state.Range{}
		assert.Equal(t, state.Settings{Registry: "/etc/x", OnFailure: "node",
			Snapshots: state.SnapshotSettings{Keep: 5, KeepDays: 30, Subvolumes: []string{"/home"}}}, c.Settings)
		assert.Equal(t, "the core", n.Description)
		assert.Equal(t, "alert", n.Drift)
		assert.Equal(t, state.Lifecycle{IgnoreDrift: []string{"all"}}, n.Lifecycle)
		assert.Equal(t, []state.Check{{Name: "up", Unit: "a.service", Timeout: time.Minute, Retries: 3}}, n.Health)
		assert.Equal(t, []state.Check{{Name: "v", Command: []string{"/bin/false"}, ExpectExit: 1, Timeout: 10 * time.Second}}, n.Verify)
	})
	t.Run("lets an unset list be nil and an empty one be empty", func(t *testing.T) {
		c := load(t, "main.hcl", `
stage "a" { plugins = [] }
stage "b" { plugins = null }
stage "c" {}
`)
		assert.Equal(t, []string{}, c.Nodes[0].Self.(stage).Plugins)
		assert.Nil(t, c.Nodes[1].Self.(stage).Plugins)
		assert.Nil(t, c.Nodes[2].Self.(stage).Plugins)
	})
	t.Run("reads unset and null attributes as null, and a source as written", func(t *testing.T) {
		c := load(t, "main.hcl", `
stage "a" {
  source  = "payload"
  version = null
  image   = ""
}
output "o" { value = [stage.a.version, stage.a.image, stage.a.component, stage.a.plugins, stage.a.source, stage.a.name] }
`, "payload/x", "")
		assert.JSONEq(t, `[null, "", null, null, "payload", "a"]`, string(c.Outputs[0].Value))
	})
	t.Run("lets a kind shadow the root of its name in a dynamic block", func(t *testing.T) {
		c := load(t, "main.hcl", `
stage "core" { version = "1" }
stage "a" {
  dynamic "file" {
    for_each = ["x"]
    iterator = stage
    labels   = [stage.value]
    content { target = "/${stage.key}" }
  }
}
`)
		assert.Empty(t, c.Nodes[0].DependsOn)
		assert.Equal(t, file{Path: "x", Target: "/0"}, c.Nodes[0].Objects[0].Object)
	})
}

func TestLeftOut(t *testing.T) {
	t.Run("nodes stay protected, and may refer to each other", func(t *testing.T) {
		c := load(t, "main.hcl", `
variable "protect" { default = true }
stage "off" {
  requires_feature = "missing"
  version          = "1"
}
stage "protected" {
  requires_feature = "missing"
  version          = stage.off.version
  lifecycle { prevent_destroy = var.protect }
}
stage "disabled" {
  enabled = false
  lifecycle { prevent_destroy = true }
}
stage "silent" { enabled = false }
`)
		for i := range c.Skipped {
			c.Skipped[i].Source = state.Range{}
		}
		addr := func(name string) state.NodeAddr { return state.NodeAddr{Type: "stage", Name: name} }
		assert.Equal(t, []state.Skipped{
			{Addr: addr("disabled"), Reason: "enabled is false", PreventDestroy: true},
			{Addr: addr("off"), Reason: `the feature "missing" is off`},
			{Addr: addr("protected"), Reason: `the feature "missing" is off`, PreventDestroy: true},
		}, c.Skipped)
		assert.Empty(t, c.Nodes)
	})
	t.Run("is what has errors, when the rest is looked at all the same", func(t *testing.T) {
		config, _, diags := desired.Load(context.Background(), options(write(t, "main.hcl", `
stage "good" { version = "1" }
stage "bad" { version = [] }
`)))
		require.True(t, diags.HasErrors())
		require.Len(t, config.Nodes, 1)
		assert.Equal(t, "stage.good", config.Nodes[0].Addr.String())
	})
}

func TestDigest(t *testing.T) {
	main := `
variable "v" { default = 1 }
stage "a" {
  version   = file("version.txt")
  component = host.arch
  source    = "payload"
}
`
	files := []string{"main.hcl", main, "version.txt", "1", "payload/x", ""}
	digest := func(change func(o *optionsOf)) string {
		o := options(write(t, files...))
		if change != nil {
			change(&o)
		}
		return loadDir(t, o).Digest
	}
	same := digest(nil)
	t.Run("is of the files, not of their place", func(t *testing.T) {
		assert.Equal(t, same, digest(nil))
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", same)
	})
	t.Run("is the same whatever the files are called", func(t *testing.T) {
		assert.Equal(t, same, digest(func(o *optionsOf) {
			require.NoError(t, os.Rename(filepath.Join(o.Dir, "main.hcl"), filepath.Join(o.Dir, "other.hcl")))
		}))
	})
	t.Run("follows files that functions read", func(t *testing.T) {
		assert.NotEqual(t, same, digest(func(o *optionsOf) {
			require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "version.txt"), []byte("2"), 0o644))
		}))
	})
	t.Run("follows variables", func(t *testing.T) {
		assert.NotEqual(t, same, digest(func(o *optionsOf) { o.Vars = []string{"v=2"} }))
	})
	t.Run("follows the facts that are referred to, and no others", func(t *testing.T) {
		assert.NotEqual(t, same, digest(func(o *optionsOf) { o.Facts.Arch = "arm64" }))
		assert.Equal(t, same, digest(func(o *optionsOf) { o.Facts.Kernel = "7" }))
	})
}
