package cli_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// A cutOff is a run that was killed, to be recovered.
type cutOff struct {
	*world
	at            string // where it was killed
	before, after string // what recovering it may come to
	calls         []faulttest.Call
}

// cutOffs are runs that were killed: at points spread evenly over all of the calls that one makes, and before the last record.
func cutOffs(t *testing.T, base *world, points int, args ...string) (all []*cutOff) {
	before := base.state()
	whole := base.fork(t)
	r := faulttest.Run(t, whole.command(args...), afterLock(faulttest.Options{}))
	require.True(t, r.State.Success())
	after := whole.state()
	whole.unmount()
	var kills []int
	for i := range points - 1 {
		kills = append(kills, (2*i+1)*r.Count/(2*(points-1)))
	}
	for _, c := range slices.Backward(r.Calls) {
		if c.Name == "write" && strings.HasSuffix(c.Paths[0], ".jsonl") {
			kills = append(kills, c.N)
			break
		}
	}
	for _, n := range kills {
		c := &cutOff{world: base.fork(t), before: before, after: after}
		killed := faulttest.Run(t, c.command(args...), afterLock(faulttest.Options{KillAt: n}))
		require.True(t, killed.Hit)
		c.at = strings.TrimSpace(faulttest.Trace(killed.Calls[n-1:]))
		recovering := c.fork(t)
		r := faulttest.Run(t, recovering.command("recover"), afterLock(faulttest.Options{}))
		require.True(t, r.State.Success())
		c.calls = r.Calls
		recovering.unmount()
		all = append(all, c)
	}
	return all
}

// ended says how a state that must be final is called.
func (c *cutOff) ended(w *world, said string) string {
	switch state := w.state(); state {
	case c.before:
		return "as before"
	case c.after:
		return "as after"
	default:
		assert.Equal(w, c.before, state, "the run was killed at %s; %s", c.at, said)
		return "in between"
	}
}

// TestKillRecover kills an apply at some points, and then the recover at its calls that change something. The next recover ends
// what is left.
func TestKillRecover(t *testing.T) {
	t.Parallel()
	killRecover(t, applied(t), 13, apply()...)
}

func killRecover(t *testing.T, base *world, thin int, args ...string) {
	outcomes := map[string]int{}
	for i, c := range cutOffs(t, base, 8, args...) {
		step := every(t, thin)
		for n := 1 + i%step; n <= len(c.calls); n += step {
			t.Run(fmt.Sprintf("%d %d", i, n), func(t *testing.T) {
				w := c.fork(t)
				killed := faulttest.Run(t, w.command("recover"), afterLock(faulttest.Options{KillAt: n}))
				require.True(t, killed.Hit)
				out := w.must("recover")
				outcomes[c.ended(w, fmt.Sprintf("the recover was killed at %snext it said: %s", faulttest.Trace(killed.Calls[n-1:]), out))]++
				assert.Contains(t, w.must("recover"), "No run was cut off.")
				w.unmount()
			})
		}
	}
	tell(t, "recover is killed", outcomes)
}

// TestFaultRecover kills an apply at some points, and then has calls of the recover fail. The exit code says whether another
// one is needed, and that one ends what is left.
func TestFaultRecover(t *testing.T) {
	t.Parallel()
	outcomes := map[string]int{}
	for i, c := range cutOffs(t, applied(t), 8, apply()...) {
		killed := c.fork(t)
		left := killed.state()
		killed.unmount()
		step := every(t, 17)
		for n := 1 + i%step; n <= len(c.calls); n += step {
			for _, errno := range errnos(c.calls[n-1]) {
				t.Run(fmt.Sprintf("%d %d %s", i, n, unix.ErrnoName(errno)), func(t *testing.T) {
					w := c.fork(t)
					cmd := w.command("recover")
					var out strings.Builder
					cmd.Stdout, cmd.Stderr = &out, &out
					r := faulttest.Run(t, cmd, afterLock(faulttest.Options{FailAt: n, Errno: errno}))
					require.GreaterOrEqual(t, r.Count, n)
					code := r.State.ExitCode()
					said := fmt.Sprintf("%s\nexit code %d: %s", faulttest.Trace(r.Calls[n-1:n]), code, out.String())
					switch code {
					case 0:
						if host := hostOf(w.state()); host != hostOf(c.after) {
							assert.Equal(t, hostOf(c.before), host, "the run was killed at %s; %s", c.at, said)
						}
					case 1:
						assert.Equal(t, left, w.state(), "exit code 1 has not touched anything: %s", said)
					default:
						assert.Equal(t, 6, code, said)
					}
					again := w.must("recover")
					if code == 0 && !strings.Contains(again, "No run was cut off.") {
						assert.Contains(t, out.String(), "WARN", said)
					}
					outcomes[fmt.Sprintf("exit code %d, then %s", code, c.ended(w, said+again))]++
					w.unmount()
				})
			}
		}
	}
	tell(t, "calls of recover fail", outcomes)
}

// tell prints how often there was which outcome.
func tell(t *testing.T, what string, outcomes map[string]int) {
	var lines []string
	total := 0
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		lines = append(lines, fmt.Sprintf("%d times %s", outcomes[outcome], outcome))
		total += outcomes[outcome]
	}
	t.Logf("%s at %d points: %s", what, total, strings.Join(lines, ", "))
}
