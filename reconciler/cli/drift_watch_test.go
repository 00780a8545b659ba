package cli_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// A watcher is a drift --watch that is going on.
type watcher struct {
	*world
	cmd   *exec.Cmd
	lines chan string
	said  *said
}

// watch begins to watch, and waits until that says so.
func (w *world) watch(args ...string) *watcher {
	w.Helper()
	v := &watcher{w, w.command(append([]string{"drift", "--watch"}, args...)...), make(chan string, 1000), new(said)}
	out, err := v.cmd.StdoutPipe()
	require.NoError(w, err)
	v.cmd.Stderr = v.said
	require.NoError(w, v.cmd.Start())
	w.Cleanup(func() { _ = v.cmd.Process.Kill() })
	go func() {
		defer close(v.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			v.lines <- lines.Text()
		}
	}()
	v.until("Watching ")
	return v
}

// until waits until it has said something on standard error.
func (v *watcher) until(what string) {
	v.Helper()
	require.Eventually(v, func() bool { return strings.Contains(v.said.String(), what) }, 30*time.Second, 10*time.Millisecond, "%s", v.said)
}

// line is the next that it prints.
func (v *watcher) line() string {
	v.Helper()
	select {
	case line, ok := <-v.lines:
		require.True(v, ok, "it ended: %s", v.said)
		return line
	case <-time.After(30 * time.Second):
		require.Fail(v, "nothing is printed", "%s", v.said)
	}
	return ""
}

// events are the next so many, with what differs.
func (v *watcher) events(n int) (events []string) {
	v.Helper()
	for range n {
		line := v.line()
		var e struct {
			Event      string
			At         time.Time
			Address    string
			Missing    bool
			Run        int
			Since      time.Time
			Attributes []struct{ Name string }
		}
		require.NoError(v, json.Unmarshal([]byte(line), &e), line)
		assert.WithinDuration(v, time.Now(), e.At, time.Minute)
		s := e.Event + " " + e.Address
		if e.Missing {
			s += " missing"
		}
		for _, a := range e.Attributes {
			s += " " + a.Name
		}
		events = append(events, s)
	}
	return events
}

// end ends it and gives its exit code, and what it printed last.
func (v *watcher) end(s os.Signal) (code int, last []string) {
	v.Helper()
	require.NoError(v, v.cmd.Process.Signal(s))
	for line := range v.lines {
		last = append(last, line)
	}
	_ = v.cmd.Wait() // its exit code says it
	return v.cmd.ProcessState.ExitCode(), last
}

const watched = `
stage "app" {
  source  = "app"
  plugins = ["lxc"]
  file "conf" {
    target = "/etc/app/conf"
    type   = "copy"
  }
  file "link" { target = "/etc/app/link" }
  file "old" { target = "/etc/app/old" }
}
`

func watchedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 256)
	w.config("v1", "main.hcl", watched, "app/conf", "1", "app/link", "1", "app/old", "1")
	// Everything changes: the whole tree, a content, a link goes, another comes.
	w.config("v2", "main.hcl", strings.ReplaceAll(watched, "old", "new"), "app/conf", "2", "app/link", "2", "app/new", "2")
	w.must("init")
	w.must("apply", "--auto-approve", "v1")
	return w
}

func TestDriftWatch(t *testing.T) {
	t.Run("what drifts is told, mended by a run, and nothing that runs do", func(t *testing.T) {
		w := watchedWorld(t)
		w.sh(`echo edited > "$ROOT/var/lib/op-dbus/staging/app/old"`)
		v := w.watch("--json")
		assert.Equal(t, []string{`drifted stage.app.payload["old"] size digest`}, v.events(1), "what had drifted already")

		w.sh(`echo edited > "$ROOT/etc/app/conf"; rm "$ROOT/etc/app/link"`)
		assert.ElementsMatch(t, []string{`drifted stage.app.file["conf"] digest`, `drifted stage.app.file["link"] missing`}, v.events(2))
		w.sh(`mv "$ROOT/etc/op-dbus" "$ROOT/etc/gone"`)
		assert.Equal(t, []string{`drifted stage.app.registration["lxc"] missing`}, v.events(1))
		w.sh(`mv "$ROOT/etc/gone" "$ROOT/etc/op-dbus"`)
		assert.Equal(t, []string{`mended stage.app.registration["lxc"]`}, v.events(1))
		w.sh(`rm -r "$ROOT/etc/app"`)
		assert.ElementsMatch(t, []string{`drifted stage.app.file["conf"] missing`, `drifted stage.app.file["old"] missing`}, v.events(2))

		w.must("apply", "--auto-approve", "v1")
		assert.ElementsMatch(t, []string{`mended stage.app.payload["old"]`, `mended stage.app.file["conf"]`, `mended stage.app.file["link"]`, `mended stage.app.file["old"]`}, v.events(4))

		w.must("apply", "--auto-approve", "v2")
		w.must("undo", "--auto-approve")
		w.must("release")
		w.must("apply", "--auto-approve", "v2")
		w.sh(`rm "$ROOT/etc/app/new"`)
		assert.Equal(t, []string{`drifted stage.app.file["new"] missing`}, v.events(1), "and nothing of what the runs did")
		w.sh(`echo 3 > "$ROOT/var/lib/op-dbus/staging/app/link"`)
		assert.Equal(t, []string{`drifted stage.app.payload["link"] size digest`}, v.events(1), "in the tree that the run has put in the other's place")

		code, last := v.end(syscall.SIGINT)
		assert.Equal(t, 2, code)
		assert.Empty(t, last)
		assert.NotContains(t, v.said.String(), "interrupted")
	})

	t.Run("watching changes nothing, and ends with 0 when nothing differs", func(t *testing.T) {
		w := watchedWorld(t)
		before := w.state()
		v := w.watch("--target", `stage.app.file["conf"]`)
		assert.Equal(t, "No drift: 1 object is as opdbus made it.", v.line())
		w.sh(`rm "$ROOT/etc/app/link"; chmod 600 "$ROOT/etc/app/conf"`)
		assert.Regexp(t, `^20\S+Z stage\.app\.file\["conf"\] drifted: mode "0644" -> "0600"$`, v.line())
		w.sh(`chmod 644 "$ROOT/etc/app/conf"; ln -s /var/lib/op-dbus/staging/app/link "$ROOT/etc/app/link"`)
		assert.Regexp(t, `^20\S+Z stage\.app\.file\["conf"\] is as it was made again$`, v.line())
		code, _ := v.end(syscall.SIGTERM)
		assert.Zero(t, code, v.said)
		assert.Equal(t, before, w.state())
	})

	t.Run("a run that is killed is said, and what it did is told only when it has been recovered", func(t *testing.T) {
		w := watchedWorld(t)
		w.config("slow", "main.hcl", watched+strings.ReplaceAll(slow, "%", w.dir), "app/conf", "2", "app/link", "2", "app/old", "2")
		v := w.watch("--json")
		run := w.command("apply", "--auto-approve", "slow")
		require.NoError(t, run.Start())
		require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(w.dir, "checking")); return err == nil }, 30*time.Second, 10*time.Millisecond)
		w.sh(`rm "$ROOT/etc/app/old"`)
		require.NoError(t, run.Process.Kill())
		_ = run.Wait() // it was killed
		w.sh("touch go")
		v.until("run 2 was cut off")
		w.must("recover")
		assert.Equal(t, []string{`drifted stage.app.file["old"] missing`}, v.events(1))
		code, last := v.end(os.Interrupt)
		assert.Equal(t, 2, code)
		assert.Empty(t, last)
	})

	t.Run("too few watches are an error that says what to do", func(t *testing.T) {
		w := watchedWorld(t)
		const limited = `echo 4 > /proc/sys/user/max_inotify_watches && exec "$0" --root "$1" drift --watch`
		cmd := exec.Command("unshare", "--user", "--map-root-user", "sh", "-c", limited, w.opdbus, w.root)
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "unshare failed") {
			snapshottest.Lack(t, "cannot make a user namespace: %s", out)
		}
		require.Error(t, err)
		assert.Equal(t, 1, cmd.ProcessState.ExitCode())
		assert.Contains(t, string(out), "sysctl fs.inotify.max_user_watches=")
	})
}
