package faulttest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// TestRunOpdbus is about this package and not about opdbus: that what it counts of opdbus is worth counting.
func TestRunOpdbus(t *testing.T) {
	btrfs := snapshottest.Mount(t, 512)
	config := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(config, "main.hcl"), []byte(`
stage "app" {
  file "conf" {
    target  = "/etc/app.conf"
    type    = "copy"
    content = "a"
  }
  file "link" {
    target  = "/etc/app.link"
    content = "b"
  }
}
`), 0o600))
	roots := 0
	for _, c := range []struct{ how, cgo string }{{"static", "CGO_ENABLED=0"}, {"dynamic", "CGO_ENABLED=1"}} {
		opdbus := filepath.Join(t.TempDir(), "opdbus")
		build := exec.Command("go", "build", "-o", opdbus, "github.com/opdbus/opdbus")
		build.Env = append(build.Environ(), c.cgo)
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s", out)
		// apply applies the configuration to a new host, and is what there is below it then.
		apply := func(t *testing.T, o faulttest.Options) (r faulttest.Result, root, stderr string) {
			roots++
			root = filepath.Join(btrfs, "root"+string(rune('a'+roots)))
			require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
			init := exec.Command(opdbus, "--root", root, "init")
			out, err := init.CombinedOutput()
			require.NoError(t, err, "%s", out)
			cmd := exec.Command(opdbus, "--root", root, "apply", "--auto-approve", config)
			var said strings.Builder
			cmd.Stderr = &said
			begin := time.Now()
			r = faulttest.Run(t, cmd, o)
			t.Logf("%d calls in %s", r.Count, time.Since(begin))
			return r, root, said.String()
		}
		afterLock := func() faulttest.Options { return faulttest.Options{After: faulttest.Called("flock", "/lock", 1)} }

		t.Run("an apply of a "+c.how+" opdbus makes the same calls each time", func(t *testing.T) {
			var traces []string
			for range 4 {
				r, root, stderr := apply(t, afterLock())
				require.True(t, r.State.Success(), stderr)
				var names []string
				for _, call := range r.Calls {
					names = append(names, call.Name)
				}
				traces = append(traces, strings.Join(names, " "))
				if len(traces) == 1 {
					t.Log(strings.ReplaceAll(faulttest.Trace(r.Calls), root, ""))
				}
			}
			assert.Greater(t, strings.Count(traces[0], " "), 20)
			for _, trace := range traces[1:] {
				assert.Equal(t, traces[0], trace)
			}
		})

		t.Run("a "+c.how+" opdbus is killed where it is told to", func(t *testing.T) {
			o := afterLock()
			o.KillAt = 10
			r, _, _ := apply(t, o)
			assert.Equal(t, 10, r.Count)
			assert.Equal(t, "signal: killed", r.State.String())
		})
	}
}
