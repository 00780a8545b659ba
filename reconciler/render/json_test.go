package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

func asJSON(t *testing.T, p *state.Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, JSON(&b, p, Options{Key: []byte("key"), Kinds: kinds()}))
	return b.Bytes()
}

func planSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("../../docs/plan.schema.json")
	require.NoError(t, err)
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("plan.schema.json", doc))
	schema, err := c.Compile("plan.schema.json")
	require.NoError(t, err)
	return schema
}

func TestJSON(t *testing.T) {
	plans := map[string]*state.Plan{"contract": contract(), "everything": everything(), "many": many(100), "back": back(), "empty": {}}
	t.Run("is what is in testdata", func(t *testing.T) {
		var b bytes.Buffer
		require.NoError(t, json.Indent(&b, asJSON(t, everything()), "", "  "))
		golden(t, "everything.json", b.String())
	})
	t.Run("satisfies the published schema", func(t *testing.T) {
		schema := planSchema(t)
		for name, p := range plans {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON(t, p)))
			require.NoError(t, err)
			assert.NoError(t, schema.Validate(doc), name)
		}
	})
	t.Run("is printable and one line", func(t *testing.T) {
		out := asJSON(t, everything())
		assert.Equal(t, 1, bytes.Count(out, []byte("\n")))
		assert.Equal(t, len(out)-1, bytes.IndexFunc(out, func(r rune) bool { return r == '\n' || unprintable(r) }))
	})
	t.Run("is the same each time", func(t *testing.T) {
		assert.Equal(t, string(asJSON(t, everything())), string(asJSON(t, everything())))
	})
}

// TestSchema breaks real output in many ways; a schema that lets one through would not catch the mistake.
func TestSchema(t *testing.T) {
	schema := planSchema(t)
	for name, spoil := range map[string]func(doc map[string]any){
		"another version":             func(d map[string]any) { d["format_version"] = "1.3" },
		"an unknown member":           func(d map[string]any) { d["timestamp"] = "2026-01-01" },
		"no digest":                   func(d map[string]any) { delete(d["opdbus"].(map[string]any), "digest") },
		"an unknown action":           func(d map[string]any) { change(d, 0)["actions"] = []any{"adopt"} },
		"a creation from something":   func(d map[string]any) { change(d, 0)["before"] = map[string]any{} },
		"an update to nothing":        func(d map[string]any) { change(d, 4)["after"] = nil },
		"a secret that is not masked": func(d map[string]any) { output(d, "token")["value"] = canary },
		"an unknown cause":            func(d map[string]any) { own(d, "changes", 0)["cause"] = "whim" },
		"an address of no node":       func(d map[string]any) { own(d, "nodes", 0)["address"] = "core" },
		"snapshots of a skipped node": func(d map[string]any) { own(d, "nodes", 3)["snapshots"] = []any{"pre"} },
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			var doc map[string]any
			require.NoError(t, json.Unmarshal(asJSON(t, everything()), &doc))
			require.NoError(t, schema.Validate(doc))
			spoil(doc)
			assert.Error(t, schema.Validate(doc))
		})
	}
}

func change(doc map[string]any, i int) map[string]any {
	return doc["resource_changes"].([]any)[i].(map[string]any)["change"].(map[string]any)
}

func output(doc map[string]any, name string) map[string]any {
	return doc["planned_values"].(map[string]any)["outputs"].(map[string]any)[name].(map[string]any)
}

func own(doc map[string]any, list string, i int) map[string]any {
	return doc["opdbus"].(map[string]any)[list].([]any)[i].(map[string]any)
}

func TestTerraformReads(t *testing.T) {
	var plan tfjson.Plan
	require.NoError(t, json.Unmarshal(asJSON(t, everything()), &plan))
	t.Run("the actions", func(t *testing.T) {
		var b strings.Builder
		for _, c := range plan.ResourceChanges {
			is := []string{fmt.Sprint(c.Change.Actions)}
			if c.PreviousAddress != "" {
				is = append(is, "moved")
			}
			if c.Change.Importing != nil {
				is = append(is, "import of "+c.Change.Importing.ID)
			}
			b.WriteString(strings.TrimSpace(c.Type+" "+strings.Join(is, " ")+" "+string(c.ActionReason)) + "\n")
		}
		assert.Equal(t, `stage_payload [create]
stage_payload [create]
stage_file [create]
stage_file [create]
stage_file [update]
stage_file [no-op] import of bin/same
stage_file [no-op] moved
stage_file [delete] delete_because_no_resource_config
stage_file [forget]
stage_file [forget]
stage_file [delete create] replace_by_request
systemd_unit [update]
systemd_unit [delete]
systemd_unit [create]
systemd_unit [delete create] replace_because_cannot_update
systemd_unit [update]
systemd_unit [update]
stage_file [delete] delete_because_each_key
`, b.String())
		assert.True(t, plan.ResourceChanges[8].Change.Actions.Forget())
		assert.True(t, plan.ResourceChanges[10].Change.Actions.DestroyBeforeCreate())
	})
	t.Run("what an object is", func(t *testing.T) {
		c := plan.ResourceChanges[2]
		c.Change = nil
		assert.Equal(t, &tfjson.ResourceChange{
			Address: `stage.stage-1-core-dbus.file["bin/op-dbus"]`, Mode: tfjson.ManagedResourceMode, Type: "stage_file",
			Name: "stage-1-core-dbus", Index: "bin/op-dbus", ProviderName: "opdbus.dev/opdbus/stage",
		}, c)
	})
	t.Run("drift, values, outputs and configuration", func(t *testing.T) {
		assert.Len(t, plan.ResourceDrift, 2)
		assert.True(t, plan.ResourceDrift[1].Change.Actions.Delete())
		resources := plan.PlannedValues.RootModule.Resources
		require.Len(t, resources, 3)
		assert.Equal(t, "registry_registration", resources[1].Type)
		assert.Equal(t, map[string]any{"name": "net", "version": "1.0.0", "provider": "net"}, resources[1].AttributeValues)
		assert.JSONEq(t, `{"token":true}`, string(resources[2].SensitiveValues))
		assert.Equal(t, map[string]any{"token": true}, plan.ResourceChanges[11].Change.BeforeSensitive)
		assert.Equal(t, "eu", plan.Variables["region"].Value)
		assert.True(t, plan.OutputChanges["url"].Actions.NoOp())
		assert.True(t, plan.PlannedValues.Outputs["token"].Sensitive)
		assert.Equal(t, "opdbus.dev/opdbus/registry", plan.Config.ProviderConfigs["registry"].FullName)
		assert.Equal(t, []string{"stage.stage-1-core-dbus"}, plan.Config.RootModule.Resources[2].DependsOn)
	})
}
