package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return a.printJSON(map[string]string{"version": a.version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintln(a.out, "opdbus", a.version)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printJSON prints a result.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// isConfigFile says whether a file is part of a configuration: *.hcl or *.hcl.json, without those that hold variables.
func isConfigFile(name string) bool {
	base := strings.TrimSuffix(filepath.Base(name), ".json")
	return strings.HasSuffix(base, ".hcl") && !strings.HasSuffix(base, ".vars.hcl")
}

// decodeMarker reads what a stage's marker says; nil says nothing.
func decodeMarker(raw json.RawMessage, component, version *string) error {
	if raw == nil {
		return nil
	}
	m := struct{ Component, Version *string }{component, version}
	return json.Unmarshal(raw, &m)
}
