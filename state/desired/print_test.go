package desired_test

import (
	"context"
	"strings"
	"testing"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJSON(t *testing.T) {
	t.Run("of diagnostics is what terraform validate prints", func(t *testing.T) {
		dir := write(t, "main.hcl", "stage \"a\" {\n  vershun = \"1\"\n}\n", "x.auto.vars.hcl", "v = 1\n")
		_, files, diags := desired.Load(context.Background(), options(dir))
		got, err := files.JSON(diags)
		require.NoError(t, err)
		assert.JSONEq(t, `{
  "format_version": "1.0", "valid": false, "error_count": 1, "warning_count": 1,
  "diagnostics": [
    {"severity": "error", "summary": "Unsupported argument",
     "detail": "An argument named \"vershun\" is not expected here. Did you mean \"version\"?",
     "range": {"filename": "main.hcl", "start": {"line": 2, "column": 3, "byte": 14}, "end": {"line": 2, "column": 10, "byte": 21}},
     "snippet": {"context": "stage \"a\"", "code": "  vershun = \"1\"", "start_line": 2, "highlight_start_offset": 2, "highlight_end_offset": 9, "values": []}},
    {"severity": "warning", "summary": "Value for undeclared variable", "detail": "The configuration has no variable \"v\".",
     "range": {"filename": "x.auto.vars.hcl", "start": {"line": 1, "column": 1, "byte": 0}, "end": {"line": 1, "column": 2, "byte": 1}},
     "snippet": {"context": null, "code": "v = 1", "start_line": 1, "highlight_start_offset": 0, "highlight_end_offset": 1, "values": []}}
  ]}`, strings.ReplaceAll(string(got), dir+"/", ""))
	})
	t.Run("of no diagnostics is valid", func(t *testing.T) {
		var none *desired.Files
		got, err := none.JSON(nil)
		require.NoError(t, err)
		assert.JSONEq(t, `{"format_version": "1.0", "valid": true, "error_count": 0, "warning_count": 0, "diagnostics": []}`, string(got))
	})
}

func TestFormat(t *testing.T) {
	t.Run("lines up arguments", func(t *testing.T) {
		got, diags := desired.Format([]byte("stage \"a\" {\nversion=\"1\"\n    component = \"c\"\n}\n"), "main.hcl")
		require.Empty(t, diags)
		assert.Equal(t, "stage \"a\" {\n  version   = \"1\"\n  component = \"c\"\n}\n", string(got))
	})
	t.Run("leaves what it cannot read", func(t *testing.T) {
		got, diags := desired.Format([]byte("stage {"), "main.hcl")
		assert.True(t, diags.HasErrors())
		assert.Equal(t, "stage {", string(got))
	})
}
