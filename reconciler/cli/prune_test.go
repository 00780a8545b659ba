package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// prunable is a world with runs enough that some snapshots are needed and others are not.
func prunable(t *testing.T) *world {
	w := applied(t)
	w.applyOthers()
	return w
}

func (w *world) applyOthers() {
	w.must(apply()...)
	for range 3 {
		w.must("undo", "--auto-approve")
	}
}

func prune() []string { return []string{"snapshots", "prune", "--keep", "1"} }

// goesBack rolls back to what no prune may have taken away, and tells what the host is like then.
func goesBack(w *world) string {
	w.must("rollback", "--auto-approve", "--cascade", "app")
	return hostOf(w.state())
}

// TestKillPrune kills the deletion of snapshots at each of its system calls that change something. After the next recover all that were
// to go are there or none is, and all else is as it was; what a rollback goes back to is.
func TestKillPrune(t *testing.T) {
	t.Parallel()
	base := prunable(t)
	other := base.fork(t)
	rolledBack := goesBack(other)
	other.unmount()
	base.mount("image")
	killEach(t, base, stride(t), prune(), func(w *world, state, after string) {
		assert.NoFileExists(w, w.root+"/var/lib/op-dbus/state/pruning.json")
		assert.Equal(w, rolledBack, goesBack(w))
	})
}

// TestFaultPrune has each call of the deletion of snapshots fail. The exit code and what is said tell whether they are there.
func TestFaultPrune(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, prunable(t), 0, prune()...)
	require.NotEqual(t, m.before, m.after)
	for i := 0; i < len(m.calls); i += every(t, 2) {
		c := m.calls[i]
		for _, errno := range errnos(c) {
			for _, onwards := range []bool{false, true} {
				m.pruneWith(t, faulttest.Options{FailAt: c.N, Errno: errno, Onwards: onwards})
			}
		}
	}
	m.report(t, "each call of a prune fails")
}

func (m *matrix) pruneWith(t *testing.T, o faulttest.Options) {
	t.Run(fmt.Sprintf("%d %s %v", o.FailAt, unix.ErrnoName(o.Errno), o.Onwards), func(t *testing.T) {
		w := m.base.fork(t)
		cmd := w.command(m.args...)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		r := faulttest.Run(t, cmd, afterLock(o))
		require.True(t, r.Hit)
		code := r.State.ExitCode()
		said := fmt.Sprintf("%s\nexit code %d: %s", faulttest.Trace(r.Calls[o.FailAt-1:o.FailAt]), code, out.String())
		w.must("recover")
		state := w.state()
		gone := code == 0 || strings.Contains(out.String(), "they are listed no longer")
		switch {
		case gone:
			assert.Equal(t, m.after, state, said)
		case o.Onwards && state == m.after: // that the intent was taken back could not be said either
		default:
			assert.Equal(t, m.before, state, said)
		}
		if code != 0 {
			assert.Equal(t, 1, code, said)
			assert.Contains(t, out.String(), "Error: ", said)
		}
		m.tried[fmt.Sprintf("exit code %d, gone: %v", code, state == m.after)]++
		w.unmount()
	})
}

// TestPowerPrune cuts the power during the deletion of snapshots, and after it: btrfs may bring back a deleted subvolume.
func TestPowerPrune(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, btrfsDisk(t))
	p.applyOthers()
	p.synced()
	p.must(prune()...)
	p.end()
	require.Len(t, p.allowed, 2)
	p.check(t, 16)
}
