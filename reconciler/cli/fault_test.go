package cli_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/journal"
)

// A faulted run is one in which a fault was put, and all that is known of it afterwards.
type faulted struct {
	*world
	fault string // where, and which
	code  int
	out   string
}

// A matrix breaks the same run at one call after the other.
type matrix struct {
	base          *world
	args          []string
	before, after string // what the run may come to
	calls         []faulttest.Call
	tried         map[string]int // outcomes, by what they are
}

// newMatrix makes the run once as it is, to know its calls and what it comes to.
func newMatrix(t *testing.T, base *world, code int, args ...string) *matrix {
	m := &matrix{base: base, args: args, before: base.state(), tried: map[string]int{}}
	whole := base.fork(t)
	r := faulttest.Run(t, whole.command(args...), afterLock(faulttest.Options{}))
	require.Equal(t, code, r.State.ExitCode())
	m.after, m.calls = whole.state(), r.Calls
	whole.unmount()
	return m
}

func afterLock(o faulttest.Options) faulttest.Options {
	o.After = faulttest.Called("flock", "/lock", 1)
	return o
}

// run makes the run with a fault, and holds what becomes of it against what its exit code says.
func (m *matrix) run(t *testing.T, n int, fault string, o faulttest.Options) {
	t.Run(fmt.Sprintf("%d %s", n, fault), func(t *testing.T) {
		f := &faulted{world: m.base.fork(t)}
		cmd := f.command(m.args...)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		r := faulttest.Run(t, cmd, afterLock(o))
		require.GreaterOrEqual(t, r.Count, n)
		f.fault, f.code, f.out = faulttest.Trace(r.Calls[n-1:n]), r.State.ExitCode(), out.String()
		outcome := m.check(f)
		if !r.Hit { // what a node writes side by side comes in any order: this time there was no write in this place
			outcome = missed
		}
		m.tried[outcome]++
		f.unmount()
	})
}

// check is what the promise comes to: 0 is as after, 1 and 5 are as before, and 6 says itself that a recovery is needed.
func (m *matrix) check(f *faulted) (outcome string) {
	said := fmt.Sprintf("%s\nexit code %d: %s", f.fault, f.code, f.out)
	state := f.state()
	recovered := f.must("recover")
	if !strings.Contains(recovered, "No run was cut off.") {
		// The host itself may be in between only where that was said.
		switch f.code {
		case 0:
			assert.Equal(f, hostOf(m.after), hostOf(state), said)
			assert.Contains(f, f.out, "WARN", said)
		case 1, 5:
			assert.Equal(f, hostOf(m.before), hostOf(state), said)
		}
		outcome = ", then recovered"
		state = f.state()
	}
	switch {
	case f.code == 0:
		assert.Equal(f, m.after, state, said+recovered)
	case f.code == 1, f.code == 5:
		assert.Equal(f, m.before, state, said+recovered)
	case f.code == 6:
		assert.NotEmpty(f, outcome, "exit code 6 leaves something to be recovered: %s", said)
		if state != m.after {
			assert.Equal(f, m.before, state, said+recovered)
		}
	default:
		assert.Fail(f, "unexpected exit code", said)
	}
	f.journalReads(said)
	return fmt.Sprintf("exit code %d%s", f.code, outcome)
}

// journalReads checks that the journals are whole.
func (f *faulted) journalReads(said string) {
	dir := filepath.Join(f.root, "var/lib/op-dbus/state/journal")
	runs, err := journal.Runs(dir)
	require.NoError(f, err)
	for _, run := range runs {
		_, err := journal.Read(dir, run)
		assert.NoError(f, err, said)
	}
}

const missed = "missed"

// fail has each step-th call of the run fail.
func (m *matrix) fail(t *testing.T, step int) {
	for i := 0; i < len(m.calls); i += step {
		c := m.calls[i]
		for _, errno := range errnos(c) {
			m.run(t, c.N, unix.ErrnoName(errno), faulttest.Options{FailAt: c.N, Errno: errno})
		}
	}
}

func (m *matrix) report(t *testing.T, what string) {
	var lines []string
	total := 0
	for _, k := range slices.Sorted(maps.Keys(m.tried)) {
		lines = append(lines, fmt.Sprintf("%d times %s", m.tried[k], k))
		total += m.tried[k]
	}
	assert.LessOrEqual(t, m.tried[missed], total/5)
	t.Logf("%s: %d faults in a run of %d calls: %s", what, total, len(m.calls), strings.Join(lines, ", "))
}

// errnos are what a call can fail with: one of them a point, in turn, unless all are asked for.
func errnos(c faulttest.Call) []unix.Errno {
	switch c.Name {
	case "fsync", "fdatasync", "syncfs", "sync_file_range":
		return []unix.Errno{unix.EIO}
	case "sync":
		return nil // cannot fail
	}
	all := []unix.Errno{unix.ENOSPC, unix.EIO, unix.EROFS, unix.ENOMEM}
	if everything() {
		return all
	}
	return all[c.N%len(all):][:1]
}

// everything says whether somebody has the time for each fault at each point.
func everything() bool { return os.Getenv("OPDBUS_TEST_FAULTS") == "all" }

// every is how many points one of the smaller matrices goes on at a time.
func every(t *testing.T, n int) int {
	if everything() {
		n = 1
	}
	return n * stride(t)
}

// writes says of a call that it can be made by half.
func writes(c faulttest.Call) bool {
	return slices.Contains([]string{"write", "pwrite64", "writev", "copy_file_range", "sendfile"}, c.Name)
}

// TestFault has calls of an apply that change something fail, after it has taken the lock: each with OPDBUS_TEST_FAULTS=all, else every second. The exit code says what became of
// the host, and it is so; where a person is needed, recover leaves it as before or as after.
func TestFault(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, applied(t), 0, apply()...)
	require.NotEqual(t, m.before, m.after)
	m.fail(t, every(t, 2))
	m.report(t, "each call fails")
}

// TestShortWrite has writes of an apply, every second as TestFault, write half, which is no error, and then the file system be full, which is.
func TestShortWrite(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, applied(t), 0, apply()...)
	var all []faulttest.Call
	for _, c := range m.calls {
		if writes(c) {
			all = append(all, c)
		}
	}
	step := every(t, 2)
	for i := 0; i < len(all); i += step {
		n := all[i].N
		if i/step%2 == 0 || everything() {
			m.run(t, n, "short, then ENOSPC", faulttest.Options{ShortWriteAt: n, FailAt: n + 1, Errno: unix.ENOSPC})
		}
		if i/step%2 == 1 || everything() {
			m.run(t, n, "short", faulttest.Options{ShortWriteAt: n})
		}
	}
	m.report(t, "each write is short")
}

// TestFaultOnwards has a file system become full or read-only during an apply, and stay so until its end: nothing can be
// taken back then. When it is put right, recover does.
func TestFaultOnwards(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, applied(t), 0, apply()...)
	step := every(t, 9)
	for i := 0; i < len(m.calls); i += step {
		errno := []unix.Errno{unix.EROFS, unix.ENOSPC}[i/step%2]
		m.run(t, i+1, unix.ErrnoName(errno)+" from here on", faulttest.Options{FailAt: i + 1, Errno: errno, Onwards: true})
	}
	m.report(t, "all calls fail from one on")
}

// neverVerified is a last node that fails.
const neverVerified = `
stage "zz" {
  dependencies = ["new"]
  file "zz" {
    target  = "/etc/zz"
    content = "zz"
  }
  verify "never" { command = ["false"] }
}
`

// TestFaultTakingBack has each call fail that takes back an apply whose last node's check fails.
func TestFaultTakingBack(t *testing.T) {
	t.Parallel()
	base := applied(t)
	base.config("v2", "check.hcl", neverVerified)
	whole := len(newMatrix(t, applied(t), 0, apply()...).calls)
	m := newMatrix(t, base, 5, apply()...)
	require.Equal(t, m.before, m.after)
	for i := whole; i < len(m.calls); i += every(t, 7) {
		c := m.calls[i]
		for _, errno := range errnos(c) {
			m.run(t, c.N, unix.ErrnoName(errno), faulttest.Options{FailAt: c.N, Errno: errno})
		}
	}
	m.report(t, "each call of taking back fails")
}

// TestFaultThenKill has the last record of an apply, that all is done, not come to disk, and kills what takes the run back then.
// The record must not have been said: the run would pass for complete, half taken back.
func TestFaultThenKill(t *testing.T) {
	t.Parallel()
	m := newMatrix(t, applied(t), 0, apply()...)
	var synced []int
	for _, c := range m.calls {
		if c.Name == "fsync" && strings.HasSuffix(c.Paths[0], "/2.jsonl") {
			synced = append(synced, c.N)
		}
	}
	fails := faulttest.Options{FailAt: synced[len(synced)-2], Errno: unix.EIO} // the last is of the run's end
	whole := m.base.fork(t)
	r := faulttest.Run(t, whole.command(apply()...), afterLock(fails))
	require.Equal(t, 5, r.State.ExitCode())
	for n := fails.FailAt + 3; n <= r.Count; n += every(t, 17) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			f := &faulted{world: m.base.fork(t)}
			o := afterLock(fails)
			o.KillAt = n
			killed := faulttest.Run(t, f.command(apply()...), o)
			f.fault = faulttest.Trace(killed.Calls[n-1:])
			out := f.must("recover")
			assert.Equal(t, m.before, f.state(), "%s%s", f.fault, out)
			f.journalReads(f.fault)
			f.unmount()
			m.tried["killed"]++
		})
	}
	m.report(t, "the last record fails, then a kill")
}
