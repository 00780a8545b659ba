package desired_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/language.md")
	require.NoError(t, err)
	t.Run("has examples that load as they are", func(t *testing.T) {
		examples := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, examples)
		for _, e := range examples {
			load(t, "main.hcl", e[1], "components/core-dbus/bin/op-dbus", "", "components/web/index.html", "")
		}
	})
	t.Run("lists functions that there are", func(t *testing.T) {
		_, rest, ok := strings.Cut(string(text), "## Functions")
		require.True(t, ok)
		table, _, _ := strings.Cut(rest, "Relative paths")
		names := regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(table, -1)
		require.Greater(t, len(names), 90)
		for _, name := range names {
			assert.NotContains(t, mistakes(t, "main.hcl", `output "o" { value = `+name[1]+`() }`), "Call to unknown function")
		}
	})
}
