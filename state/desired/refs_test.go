package desired_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
)

func TestReferences(t *testing.T) {
	const stage = `
stage "web" {
  file "etc/web.conf" { target = "/etc/web.conf" }
}
stage "each" {
  for_each = toset(["a", "b"])
  file "x" { target = "/etc/${each.key}" }
}
`
	refs := func(t *testing.T, text string) (state.References, []state.Dependency) {
		t.Helper()
		c := load(t, "main.hcl", stage+text)
		n := c.Node(state.NodeAddr{Type: state.PluginNode, Name: "systemd"})
		for _, o := range n.Objects {
			if u := o.Object.(unit); u.RestartOn != nil {
				return u.RestartOn, n.DependsOn
			}
		}
		return nil, n.DependsOn
	}

	t.Run("name nodes and objects, which makes dependencies", func(t *testing.T) {
		got, needs := refs(t, `
locals { conf = "etc/web.conf" }
plugin "systemd" {
  unit "a.service" {
    restart_on = [stage.web, stage.web.file["etc/web.conf"], stage.web.file[local.conf], stage.each["a"].file["x"], "stage.web.file[\"etc/web.conf\"]"]
  }
}`)
		assert.Equal(t, state.References{"stage.web", `stage.web.file["etc/web.conf"]`, `stage.web.file["etc/web.conf"]`, `stage.each["a"].file["x"]`, `stage.web.file["etc/web.conf"]`}, got)
		var on []string
		for _, d := range needs {
			on = append(on, d.On.String())
		}
		assert.Equal(t, []string{`stage.each["a"]`, "stage.web"}, on)
	})

	t.Run("may name what is in the same node", func(t *testing.T) {
		got, needs := refs(t, `
plugin "systemd" {
  unit "b.service" {}
  unit "a.service" { restart_on = [plugin.systemd.unit["b.service"]] }
}`)
		assert.Equal(t, state.References{`plugin.systemd.unit["b.service"]`}, got)
		assert.Empty(t, needs)
	})

	t.Run("what is no reference is a mistake with its place", func(t *testing.T) {
		for said, says := range map[string]string{
			`restart_on = ["nginx"]`:                          "Invalid reference",
			`restart_on = [var.x]`:                            "undeclared",
			`restart_on = [stage.web.file]`:                   "Invalid reference",
			`restart_on = [stage.web.file["a"].target]`:       "no file \"a\"",
			`restart_on = [stage.nope]`:                       "no stage \"nope\"",
			`restart_on = stage.web`:                          "Invalid references",
			`restart_on = [plugin.systemd.unit["c.service"]]`: "c.service",
		} {
			_, files, diags := desired.Load(t.Context(), options(write(t, "main.hcl", stage+`plugin "systemd" {
  unit "a.service" { `+said+` }
}`)))
			require.True(t, diags.HasErrors(), said)
			assert.Contains(t, text(t, files, diags), says, said)
		}
	})
}
