package cli_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// TestSavedPlanCut kills the apply of a saved plan, and has it fail, at each call by which the content that the plan carries comes
// into the store and goes from there. The run itself is that of any plan, which TestKill cuts.
func TestSavedPlanCut(t *testing.T) {
	t.Parallel()
	base := applied(t)
	base.must("plan", "--out", "plan", "v2")
	stateBefore := base.state()
	apply := []string{"apply", "--auto-approve", "--parallelism", "1", "plan"}
	content := func() faulttest.Options {
		return faulttest.Options{Only: func(c faulttest.Call) bool {
			return slices.ContainsFunc(c.Paths, func(p string) bool { return strings.Contains(p, "/op-dbus/state/content") })
		}}
	}

	whole := base.fork(t)
	r := faulttest.Run(t, whole.command(apply...), content())
	require.True(t, r.State.Success())
	stateAfter := whole.state()
	require.NotEqual(t, stateBefore, stateAfter)
	whole.unmount()
	require.Greater(t, r.Count, 10)
	t.Logf("the content of a plan makes %d system calls that change something", r.Count)

	recovered := func(t *testing.T, w *world, what string) {
		out := w.must("recover")
		if state := w.state(); state != stateAfter {
			assert.Equal(t, stateBefore, state, "%s; recover said: %s", what, out)
			w.must("apply", "--auto-approve", "v2")
		}
		assert.Contains(t, w.must("plan", "v2"), "No changes.")
		w.unmount()
	}
	for n := 1; n <= r.Count; n += every(t, 2) {
		t.Run(fmt.Sprintf("killed at %d, nothing is left after a recovery", n), func(t *testing.T) {
			w, o := base.fork(t), content()
			o.KillAt = n
			killed := faulttest.Run(t, w.command(apply...), o)
			require.True(t, killed.Hit)
			recovered(t, w, "killed at "+killed.Calls[len(killed.Calls)-1].String())
		})
		t.Run(fmt.Sprintf("failing at %d, it says whether anything was changed", n), func(t *testing.T) {
			w, o := base.fork(t), content()
			o.FailAt, o.Errno = n, unix.EIO
			failed := faulttest.Run(t, w.command(apply...), o)
			require.True(t, failed.Hit)
			state := w.state()
			if failed.State.Success() {
				assert.Equal(t, hostOf(stateAfter), hostOf(state))
			} else {
				assert.Equal(t, 1, failed.State.ExitCode())
				assert.Equal(t, stateBefore, state)
			}
			recovered(t, w, "it failed")
		})
	}
}
