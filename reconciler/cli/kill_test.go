package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// Two configurations with all that an apply does: stages made, changed and deleted, links, copies, a copy that was edited, a
// thing of somebody else's moved aside, registrations.
const (
	before = `
stage "app" {
  version = "1"
  source  = "app"
  plugins = ["net"]
  file "bin/tool" { target = "/usr/local/bin/tool" }
  file "conf" {
    target = "/etc/app.conf"
    type   = "copy"
  }
  file "local" {
    target = "/etc/app.local"
    type   = "copy-if-not-exists"
  }
  file "old" { target = "/opt/app/old" }
}
stage "gone" {
  dependencies = ["app"]
  file "gone" {
    target  = "/etc/gone.d/conf"
    type    = "copy"
    content = "gone"
  }
}
`
	after = `
stage "app" {
  version = "2"
  source  = "app2"
  plugins = ["net", "systemd"]
  file "bin/tool" { target = "/usr/local/bin/tool" }
  file "conf" {
    target = "/etc/app.conf"
    type   = "copy"
    mode   = "0600"
  }
  file "local" {
    target = "/etc/app.local"
    type   = "copy-if-not-exists"
  }
  file "theirs" {
    target      = "/etc/theirs"
    on_conflict = "backup"
  }
  file "theirs.copy" {
    target      = "/etc/theirs.copy"
    type        = "copy"
    on_conflict = "backup"
  }
}
stage "new" {
  dependencies = ["app"]
  file "new" {
    target  = "/opt/new/conf"
    type    = "copy"
    content = "new"
  }
  file "dir" {
    target = "/opt/new/dir"
    type   = "directory"
    mode   = "0750"
  }
}
`
)

// applied is a world in which the first configuration is applied, and somebody has been there since.
func applied(t *testing.T) *world {
	w := newWorld(t, 256)
	w.applyFirst()
	return w
}

func (w *world) applyFirst() {
	w.config("v1", "main.hcl", before, "app/bin/tool", "tool 1", "app/conf", "conf 1", "app/local", "local 1", "app/old", "old")
	w.config("v2", "main.hcl", after, "app2/bin/tool", "tool 2", "app2/conf", "conf 2", "app2/local", "local 2", "app2/theirs", "ours", "app2/theirs.copy", "ours too", "app2/lib/x", "x")
	w.must("init")
	w.must("apply", "--auto-approve", "v1")
	w.sh(`echo edited > "$ROOT/etc/app.conf"; echo theirs > "$ROOT/etc/theirs"; chmod 640 "$ROOT/etc/theirs"; ln -s /nowhere "$ROOT/etc/theirs.copy"`)
}

// apply is the run that is broken, one node after the other.
func apply() []string { return []string{"apply", "--auto-approve", "--parallelism", "1", "v2"} }

// TestKill kills an apply at each of its system calls that change something, after it has taken the lock. Whatever it had
// done, the next recover leaves the host, the ledger and the snapshots as they were before, or as they are after it.
func TestKill(t *testing.T) {
	t.Parallel()
	killEach(t, applied(t), stride(t), apply(), func(w *world, _, after string) {
		w.must(apply()...)
		assert.Contains(w, w.must("plan", "v2"), "No changes.", "a new apply converges")
		assert.Equal(w, hostOf(after), hostOf(w.state()))
	})
}

// killEach kills a run at one call in step of those that change something, recovers, and lets again see that the world
// that is as before or as after it can be worked with.
func killEach(t *testing.T, base *world, step int, run []string, again func(w *world, state, after string)) {
	stateBefore := base.state()
	whole := base.fork(t)
	r := faulttest.Run(t, whole.command(run...), afterLock(faulttest.Options{}))
	require.True(t, r.State.Success())
	stateAfter := whole.state()
	require.NotEqual(t, stateBefore, stateAfter)
	whole.unmount()
	t.Logf("opdbus %s makes %d system calls that change something", strings.Join(run, " "), r.Count)

	outcomes := map[string]int{}
	for n := 1; n <= r.Count; n += step {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := base.fork(t)
			killed := faulttest.Run(t, w.command(run...), afterLock(faulttest.Options{KillAt: n}))
			require.True(t, killed.Hit)
			at := killed.Calls[len(killed.Calls)-1]
			out := w.must("recover")
			state := w.state()
			switch state {
			case stateBefore:
				outcomes["before"]++
			case stateAfter:
				outcomes["after"]++
			default:
				assert.Equal(t, stateBefore, state, "killed at %s; recover said: %s", faulttest.Trace([]faulttest.Call{at}), out)
			}
			again(w, state, stateAfter)
			w.unmount()
		})
	}
	t.Logf("killed at %d points: %d times as before, %d times as after", outcomes["before"]+outcomes["after"], outcomes["before"], outcomes["after"])
}

// hostOf is a state without the store, whose run numbers and snapshots tell how often something was tried, and without what a run says that
// it could not delete and left for recover beside a subvolume which it restored.
func hostOf(state string) string {
	var host []string
	for line := range strings.Lines(state) {
		if !strings.HasPrefix(line, "/var/lib/op-dbus") && !strings.HasPrefix(line, "/srv/.data.opdbus") {
			host = append(host, line)
		}
	}
	return strings.Join(host, "")
}

// stride is how many points of a matrix to skip: 1 unless somebody who is in a hurry says otherwise.
func stride(t *testing.T) int {
	n := 1
	if s := os.Getenv("OPDBUS_TEST_STRIDE"); s != "" {
		_, err := fmt.Sscan(s, &n)
		require.NoError(t, err)
	}
	return n
}
