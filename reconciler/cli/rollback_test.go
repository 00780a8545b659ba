package cli_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// appliedTwice is a world in which both configurations were applied, to be taken back.
func appliedTwice(t *testing.T) *world {
	w := applied(t)
	w.must(apply()...)
	return w
}

// rollback takes back both runs.
func rollback() []string { return []string{"rollback", "--all", "--auto-approve"} }

// undo takes back the last run.
func undo() []string { return []string{"undo", "--auto-approve"} }

// TestKillRollback kills a rollback of everything, and that of one run, at their system calls that change something: at each with
// OPDBUS_TEST_FAULTS=all, else at some. The host is then as before the rollback or as after it, and not somewhere on the way.
func TestKillRollback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  []string
		step int
	}{
		{"all", rollback(), every(t, 4)},
		{"last", undo(), every(t, 6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			killEach(t, appliedTwice(t), c.step, c.run, func(w *world, state, after string) {
				if state != after {
					w.must(c.run...)
				}
				assert.Equal(w, hostOf(after), hostOf(w.state()), "a new rollback goes all the way")
			})
		})
	}
}

// TestFaultRollback has calls of a rollback fail.
func TestFaultRollback(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, appliedTwice(t), 0, rollback()...)
	require.NotEqual(t, m.before, m.after)
	for i := 0; i < len(m.calls); i += every(t, 4) {
		c := m.calls[i]
		for _, errno := range errnos(c) {
			m.run(t, c.N, unix.ErrnoName(errno), faulttest.Options{FailAt: c.N, Errno: errno})
		}
	}
	m.report(t, "calls of a rollback fail")
}

// TestKillRecoverRollback kills a rollback, and then the recover.
func TestKillRecoverRollback(t *testing.T) {
	t.Parallel()
	killRecover(t, appliedTwice(t), 24, rollback()...)
}

// TestPowerRollback cuts the power during a rollback of everything.
func TestPowerRollback(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, hostDisk(t))
	p.must(apply()...)
	p.synced()
	p.must(rollback()...)
	p.end()
	require.Len(t, p.allowed, 2)
	p.check(t, 14)
}
