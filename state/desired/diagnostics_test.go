package desired_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opdbus/opdbus/state/desired"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the diagnostics are into testdata")

// TestDiagnostics loads each configuration in testdata/diagnostics and compares all that is said about it. An entry
// "link NAME" is a symbolic link to its text; "vars" holds a line a --var.
func TestDiagnostics(t *testing.T) {
	cases, err := filepath.Glob("testdata/diagnostics/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			dir := t.TempDir()
			o := options(dir)
			var kept []txtar.File
			want := ""
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				kept = append(kept, f)
				if f.Name == "vars" {
					o.Vars = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
					continue
				}
				name, link := strings.CutPrefix(f.Name, "link ")
				name = filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
				if link {
					require.NoError(t, os.Symlink(strings.TrimSpace(string(f.Data)), name))
				} else {
					require.NoError(t, os.WriteFile(name, f.Data, 0o644))
				}
			}
			config, files, diags := desired.Load(context.Background(), o)
			require.True(t, diags.HasErrors() || config != nil)
			got := strings.ReplaceAll(text(t, files, diags), dir+"/", "")
			if *update {
				archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
				require.NoError(t, os.WriteFile(path, txtar.Format(archive), 0o644))
				return
			}
			assert.Equal(t, want, got)
		})
	}
}
