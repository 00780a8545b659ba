package cli_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// TestKillReplace kills an apply that deletes what is there and makes it again: what it leads to is what it comes from, and
// what is missing in between comes back.
func TestKillReplace(t *testing.T) {
	t.Parallel()
	base := newWorld(t, 128)
	base.config("v", "main.hcl", `
stage "app" {
  source  = "app"
  plugins = ["net"]
  file "bin/tool" { target = "/usr/local/bin/tool" }
  file "conf" {
    target = "/etc/app.conf"
    type   = "copy"
  }
  file "theirs" {
    target      = "/etc/theirs"
    on_conflict = "backup"
  }
}
`, "app/bin/tool", "tool", "app/conf", "conf", "app/theirs", "ours")
	base.sh(`echo theirs > "$ROOT/etc/theirs"`)
	base.must("init")
	base.must("apply", "--auto-approve", "v")
	replace := []string{"apply", "--auto-approve", "--replace", "stage.app", "v"}
	m := newMatrix(t, base, 0, replace...)
	require.Equal(t, hostOf(m.before), hostOf(m.after))
	for n := 1; n <= len(m.calls); n += every(t, 2) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := base.fork(t)
			o := afterLock(faulttest.Options{KillAt: n})
			killed := faulttest.Run(t, w.command(replace...), o)
			require.True(t, killed.Hit)
			out := w.must("recover")
			if state := w.state(); state != m.after {
				assert.Equal(t, m.before, state, "killed at %s; recover said: %s", faulttest.Trace(killed.Calls[len(killed.Calls)-1:]), out)
			}
			w.unmount()
		})
	}
	t.Logf("killed at every other of %d points", len(m.calls))
}
