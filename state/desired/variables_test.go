package desired_test

import (
	"path/filepath"
	"testing"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type optionsOf = desired.Options

func TestVariables(t *testing.T) {
	const declared = `
variable "v" { default = "default" }
output "v" { value = var.v }
`
	dir := write(t, "main.hcl", declared, "b.auto.vars.hcl", `v = "b"`, "a.auto.vars.hcl", `v = "a"`, "one.vars.hcl", `v = "one"`)
	bare := write(t, "main.hcl", declared)
	environ := []string{"OPDBUS_VAR_v=environment", "OPDBUS_VAR_other=x"}
	one := filepath.Join(dir, "one.vars.hcl")
	for name, c := range map[string]struct {
		want string
		o    optionsOf
	}{
		"the default":                                  {"default", optionsOf{Dir: bare}},
		"the environment over the default":             {"environment", optionsOf{Dir: bare, Environ: environ}},
		"the last automatic file over the environment": {"b", optionsOf{Dir: dir, Environ: environ}},
		"a named file over automatic ones":             {"one", optionsOf{Dir: dir, Environ: environ, VarFiles: []string{one}}},
		"--var over files, the last of them":           {"y", optionsOf{Dir: dir, VarFiles: []string{one}, Vars: []string{"v=x", "v=y"}}},
	} {
		t.Run("takes "+name, func(t *testing.T) {
			assert.Equal(t, `"`+c.want+`"`, string(loadDir(t, c.o).Outputs[0].Value))
		})
	}
	t.Run("reads text by the declared type", func(t *testing.T) {
		o := optionsOf{Dir: write(t, "main.hcl", `
variable "n" { type = number }
variable "any" {}
variable "l" { type = list(number) }
variable "o" {
  type = object({
    name = string
    port = optional(number, 80)
    tags = optional(map(string), {})
  })
}
output "all" { value = [var.n, var.any, var.l, var.o] }
`), Vars: []string{"n=7", "any=[x", "l=[1, \"2\"]", `o={ name = "x" }`}}
		assert.JSONEq(t, `[7, "[x", [1, 2], {"name": "x", "port": 80, "tags": {}}]`, string(loadDir(t, o).Outputs[0].Value))
	})
	t.Run("keeps values and their secrecy", func(t *testing.T) {
		c := load(t, "main.hcl", `
variable "s" {
  type      = string
  default   = "x"
  sensitive = true
}
`)
		require.Len(t, c.Variables, 1)
		assert.Equal(t, `"x"`, string(c.Variables[0].Value))
		assert.True(t, c.Variables[0].Sensitive)
	})
	t.Run("null falls back to the default where it is not allowed", func(t *testing.T) {
		c := load(t, "main.hcl", `
variable "v" {
  nullable = false
  default  = "d"
}
output "v" { value = var.v }
`, "x.auto.vars.hcl", `v = null`)
		assert.Equal(t, `"d"`, string(c.Outputs[0].Value))
	})
}

func TestDirectory(t *testing.T) {
	t.Run("that is empty is a mistake", func(t *testing.T) {
		assert.Contains(t, mistakes(t), "There is no *.hcl or *.hcl.json file in")
	})
	t.Run("that is missing is a mistake", func(t *testing.T) {
		assert.Contains(t, mistakesOf(t, optionsOf{Dir: filepath.Join(t.TempDir(), "x")}), "no such file or directory")
	})
	t.Run("files of other names are not read", func(t *testing.T) {
		assert.Len(t, load(t, "main.hcl", `stage "a" {}`, "x.vars.hcl", "{", "y.tf", "{", ".hidden.hcl", "{", "sub/z.hcl", "{").Nodes, 1)
	})
	t.Run("outside may be allowed", func(t *testing.T) {
		outside := write(t, "payload/x", "1")
		dir := write(t, "main.hcl", `
stage "a" {
  source  = "`+outside+`/payload"
  version = file("`+outside+`/payload/x")
}
`)
		assert.Contains(t, mistakesOf(t, options(dir)), "--allow-source DIR")
		o := options(dir)
		o.AllowSource = []string{outside}
		assert.Equal(t, stage{Version: "1", Source: outside + "/payload"}, loadDir(t, o).Nodes[0].Self)
	})
}
