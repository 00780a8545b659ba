package faulttest_test

import (
	"bufio"
	"fmt"
	"io"
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

// scenario names what TestScenario is to do, in a process of its own that the tests below start.
const scenario = "FAULTTEST_SCENARIO"

func TestScenario(t *testing.T) {
	what := os.Getenv(scenario)
	switch what {
	case "":
		t.Skip("only in a process of its own")
	case "run":
		faulttest.Run(t, exec.Command("true"), faulttest.Options{})
		return
	case "forgotten":
		require.NoError(t, os.Unsetenv("OPDBUS_FAULTTEST"))
		faulttest.Run(t, exec.Command("true"), faulttest.Options{})
		return
	case "sleep":
		dir := t.TempDir()
		fmt.Println(filepath.Dir(dir))
		cmd := exec.Command("sleep", "1000")
		cmd.Dir = dir
		faulttest.Run(t, cmd, faulttest.Options{})
		return
	}
	// A disk that is mounted, a second one that is closed and of which an image is mounted, and a file that is open.
	closed := faulttest.NewDisk(t, 32)
	closed.Mount()
	closed.Close()
	image := filepath.Join(t.TempDir(), "image")
	closed.Replay(t, len(closed.Entries()), image)
	closed.MountImage(t, image)
	disk := faulttest.NewDisk(t, 32)
	dir := disk.Mount()
	f, err := os.Create(filepath.Join(dir, "open"))
	require.NoError(t, err)
	defer f.Close()
	fmt.Println(filepath.Dir(filepath.Dir(dir)))
	switch what {
	case "fail":
		t.FailNow()
	case "panic":
		panic("on purpose")
	case "panic elsewhere":
		go panic("on purpose")
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or times out
}

// play starts a scenario.
func play(t *testing.T, name string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, append([]string{"-test.run=^TestScenario$", "-test.count=1"}, args...)...)
	cmd.Env = append(cmd.Environ(), scenario+"="+name, "GOTRACEBACK=none")
	return cmd
}

func TestCleanup(t *testing.T) {
	snapshottest.Need(t, "qemu-storage-daemon")
	for _, c := range []struct {
		how, scenario string
		kill          bool
		args          []string
	}{
		{how: "fails", scenario: "fail"},
		{how: "panics", scenario: "panic"},
		{how: "panics in a goroutine", scenario: "panic elsewhere"},
		{how: "runs into its timeout", scenario: "wait", args: []string{"-test.timeout=5s"}},
		{how: "is killed", scenario: "wait", kill: true},
		{how: "is killed while it runs a command", scenario: "sleep", kill: true},
	} {
		t.Run("nothing is left of a test that "+c.how, func(t *testing.T) {
			t.Parallel()
			cmd := play(t, c.scenario, c.args...)
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			out := bufio.NewReader(stdout)
			dir, err := out.ReadString('\n')
			require.NoError(t, err)
			dir = strings.TrimSpace(dir)
			require.True(t, filepath.IsAbs(dir), dir)
			if c.kill {
				require.Eventually(t, func() bool { return left(t, dir) != "" }, 20*time.Second, time.Millisecond)
				require.NoError(t, cmd.Process.Kill())
			}
			_, _ = io.Copy(io.Discard, out)
			require.Error(t, cmd.Wait())

			assert.Eventually(t, func() bool { return left(t, dir) == "" }, 20*time.Second, 10*time.Millisecond, "%s", left(t, dir))
			require.NoError(t, os.RemoveAll(dir))
		})
	}
}

// left names the mounts, the loop devices, the processes and the disks that have to do with a directory.
func left(t *testing.T, dir string) string {
	var all []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir+"/") {
			all = append(all, line)
		}
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	require.NoError(t, err)
	for _, loop := range loops {
		if file, err := os.ReadFile(loop); err == nil && strings.HasPrefix(string(file), dir+"/") {
			all = append(all, string(file))
		}
	}
	disks, err := filepath.Glob(filepath.Join(dir, "*", "base.img")) // a keeper deletes them after all else
	require.NoError(t, err)
	all = append(all, disks...)
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd+"/", dir+"/") {
			all = append(all, link)
		}
	}
	return strings.Join(all, "\n")
}

func TestReexec(t *testing.T) {
	t.Run("a test that forgot it is told so", func(t *testing.T) {
		out, err := play(t, "forgotten").CombinedOutput()
		assert.Error(t, err)
		assert.Contains(t, string(out), "this package's TestMain does not call faulttest.Reexec")
	})
}

// A process has one listener, so that there is no filter to be had for one that is under a filter already.
func TestRefused(t *testing.T) {
	nested := func(t *testing.T, ci string) string {
		cmd := play(t, "run", "-test.v")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Env = append(cmd.Env, "CI="+ci)
		faulttest.Run(t, cmd, faulttest.Options{})
		assert.Contains(t, out.String(), "cannot install a seccomp filter with a listener: device or resource busy")
		return out.String()
	}
	t.Run("skips the test", func(t *testing.T) { assert.Contains(t, nested(t, ""), "--- SKIP: TestScenario") })
	t.Run("fails it with CI=true", func(t *testing.T) { assert.Contains(t, nested(t, "true"), "--- FAIL: TestScenario") })
}
