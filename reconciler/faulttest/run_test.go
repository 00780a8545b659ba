package faulttest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

func TestMain(m *testing.M) {
	faulttest.Reexec()
	m.Run()
}

// build builds testdata/writer, static or dynamic.
func build(t *testing.T, static bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "writer")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/writer")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if !static {
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
		cmd.Args = append(cmd.Args[:2], append([]string{"-ldflags=-linkmode=external"}, cmd.Args[2:]...)...)
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// A job is one of the writer's, in a directory of its own.
type job struct {
	*exec.Cmd
	stdout, stderr strings.Builder
}

func newJob(t *testing.T, writer, name string) *job {
	j := &job{Cmd: exec.Command(writer, name)}
	j.Dir = t.TempDir()
	j.Stdout, j.Stderr = &j.stdout, &j.stderr
	return j
}

// tree is what is in the job's directory.
func (j *job) tree(t *testing.T) string {
	entries, err := os.ReadDir(j.Dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func (j *job) read(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(j.Dir, name))
	require.NoError(t, err)
	return string(text)
}

// trace is the trace without the job's directory.
func (j *job) trace(calls []faulttest.Call) string {
	return strings.ReplaceAll(faulttest.Trace(calls), j.Dir, "")
}

func TestRun(t *testing.T) {
	writer := build(t, true)
	run := func(t *testing.T, name string, o faulttest.Options) (*job, faulttest.Result) {
		j := newJob(t, writer, name)
		r := faulttest.Run(t, j.Cmd, o)
		assert.Equal(t, len(r.Calls), r.Count)
		return j, r
	}
	afterLock := func() func(faulttest.Call) bool { return faulttest.Called("flock", "/lock", 1) }

	t.Run("counts and names what changes something, and not what reads", func(t *testing.T) {
		j, r := run(t, "kinds", faulttest.Options{})
		assert.Equal(t, "done\n", j.stdout.String(), j.stderr.String())
		assert.False(t, r.Hit)
		assert.Equal(t, `1 openat /a
2 write /a
3 fsync /a
4 mkdirat /dir
5 renameat /a /dir/b
6 symlinkat /link
7 linkat /dir/b /dir/c
8 renameat2 /link /dir/c
9 fchmodat /dir
10 setxattr /dir
11 openat2 /new
12 unlinkat /dir/b
`, j.trace(r.Calls))
	})

	t.Run("counts from a call on, and only what is asked for", func(t *testing.T) {
		_, r := run(t, "locked", faulttest.Options{After: afterLock()})
		assert.Equal(t, 10, r.Count)
		_, r = run(t, "locked", faulttest.Options{
			After: faulttest.Called("mkdirat", "", 3),
			Only:  func(c faulttest.Call) bool { return !strings.HasSuffix(c.Paths[0], "/d5") },
		})
		assert.Equal(t, 7, r.Count)
		_, r = run(t, "locked", faulttest.Options{Calls: []string{"flock", "openat"}})
		assert.Equal(t, 2, r.Count)
	})

	t.Run("kills just before a call, whichever it is", func(t *testing.T) {
		for n := 1; ; n++ {
			j, r := run(t, "locked", faulttest.Options{After: afterLock(), KillAt: n})
			if !r.Hit {
				assert.Equal(t, 11, n)
				assert.True(t, r.State.Success())
				break
			}
			status := r.State.Sys().(syscall.WaitStatus)
			assert.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%s", r.State)
			assert.Equal(t, n, r.Count)
			assert.Equal(t, fmt.Sprintf("%d mkdirat /d%d killed", n, n-1), strings.ReplaceAll(r.Calls[n-1].String(), j.Dir, ""))
			want := "before"
			for i := range n - 1 {
				want += fmt.Sprintf(" d%d", i)
			}
			assert.Equal(t, want+" lock", j.tree(t))
		}
	})

	t.Run("fails one call with an error", func(t *testing.T) {
		j, r := run(t, "locked", faulttest.Options{After: afterLock(), FailAt: 3, Errno: unix.ENOSPC})
		assert.Equal(t, 1, r.State.ExitCode())
		assert.Equal(t, "mkdir d2: no space left on device\n", j.stderr.String())
		assert.Equal(t, "before d0 d1 lock", j.tree(t))
		assert.True(t, r.Hit)
		assert.Equal(t, "1 mkdirat /d0\n2 mkdirat /d1\n3 mkdirat /d2 ENOSPC\n", j.trace(r.Calls))
	})

	t.Run("fails that call and all after it", func(t *testing.T) {
		mkdirs := faulttest.Options{Calls: []string{"mkdir", "mkdirat"}, FailAt: 2, Errno: unix.EROFS, Onwards: true}
		j, r := run(t, "children", mkdirs)
		assert.Equal(t, "one", j.tree(t))
		for _, c := range r.Calls[1:] {
			assert.Equal(t, faulttest.Fault("EROFS"), c.Fault)
		}
	})

	t.Run("counts the calls of children, and kills them too", func(t *testing.T) {
		mkdirs := faulttest.Options{Calls: []string{"mkdir", "mkdirat"}}
		_, r := run(t, "children", mkdirs)
		assert.Equal(t, 3, r.Count)
		mkdirs.KillAt = 2
		j, r := run(t, "children", mkdirs)
		assert.True(t, r.Hit)
		assert.Equal(t, "one", j.tree(t))
	})

	t.Run("a call that a signal interrupts counts once", func(t *testing.T) {
		for range 3 {
			j, r := run(t, "signals", faulttest.Options{Only: func(c faulttest.Call) bool { return c.Name == "mkdirat" }})
			assert.Equal(t, "done\n", j.stdout.String(), j.stderr.String())
			assert.Equal(t, 200, r.Count)
		}
	})
}

func TestRunShortWrite(t *testing.T) {
	writer := build(t, true)
	for _, c := range []struct{ job, call, stdout, out, rest string }{
		{"write", "write", "done\n", "0123456789", "write"},
		{"pwrite", "pwrite64", "done\n", "ab0123456789", "pwrite64"},
		{"writev", "writev", "5\ndone\n", "01234", ""},
		{"sendfile", "sendfile", "5\ndone\n", "01234", ""},
		{"copy", "copy_file_range", "5\ndone\n", "01234", ""},
	} {
		only := func(call faulttest.Call) bool {
			return call.Name == c.call && strings.HasSuffix(call.Paths[len(call.Paths)-1], "out")
		}
		if c.job == "sendfile" {
			only = func(call faulttest.Call) bool { return call.Name == c.call }
		}

		t.Run(c.call+" is made by half, and the program told so", func(t *testing.T) {
			j := newJob(t, writer, c.job)
			r := faulttest.Run(t, j.Cmd, faulttest.Options{Only: only, ShortWriteAt: 1})
			assert.True(t, r.Hit)
			assert.Equal(t, faulttest.Short, r.Calls[0].Fault)
			assert.Equal(t, c.stdout, j.stdout.String(), j.stderr.String())
			assert.Equal(t, c.out, j.read(t, "out"))
			if c.rest != "" {
				require.Len(t, r.Calls, 2, "the second writes the rest")
			}
		})
	}

	t.Run("a full disk is a short write and then an error", func(t *testing.T) {
		j := newJob(t, writer, "write")
		r := faulttest.Run(t, j.Cmd, faulttest.Options{
			Only: func(c faulttest.Call) bool { return c.Name == "write" }, ShortWriteAt: 1, FailAt: 2, Errno: unix.ENOSPC,
		})
		assert.Equal(t, "1 write /out short\n2 write /out ENOSPC\n", j.trace(r.Calls))
		assert.Equal(t, "write out: no space left on device\n", j.stderr.String())
		assert.Equal(t, "01234", j.read(t, "out"))
	})

	t.Run("another call at the number is left alone", func(t *testing.T) {
		j := newJob(t, writer, "locked")
		r := faulttest.Run(t, j.Cmd, faulttest.Options{ShortWriteAt: 1})
		assert.False(t, r.Hit)
		assert.True(t, r.State.Success())
	})
}

func TestRunCount(t *testing.T) {
	for _, c := range []struct {
		linked string
		static bool
	}{{"static", true}, {"dynamic", false}} {
		t.Run("is the same each time for a "+c.linked+" program with goroutines", func(t *testing.T) {
			writer := build(t, c.static)
			elf, err := exec.Command("ldd", writer).CombinedOutput()
			require.Equal(t, c.static, err != nil, "%s", elf)
			for range 10 {
				j := newJob(t, writer, "parallel")
				r := faulttest.Run(t, j.Cmd, faulttest.Options{})
				require.Equal(t, "done\n", j.stdout.String(), j.stderr.String())
				require.Equal(t, 8*5*3, r.Count, faulttest.Trace(r.Calls)) // open, write, rename
			}
		})
	}

	t.Run("costs little time", func(t *testing.T) {
		writer := build(t, true)
		const runs = 20
		var plain, counted time.Duration
		for range runs {
			begin := time.Now()
			require.NoError(t, newJob(t, writer, "locked").Run())
			plain += time.Since(begin)
			begin = time.Now()
			faulttest.Run(t, newJob(t, writer, "locked").Cmd, faulttest.Options{})
			counted += time.Since(begin)
		}
		t.Logf("%s without the filter, %s with it", plain/runs, counted/runs)
		assert.Less(t, (counted-plain)/runs, 500*time.Millisecond)
	})
}

func TestRunWhatIsLeftRunning(t *testing.T) {
	writer := build(t, true)
	exists := func(path string) func() bool {
		return func() bool { _, err := os.Stat(path); return err == nil }
	}
	alive := func(dir string) bool { return running(t, dir) > 0 }

	t.Run("goes on, uncounted, until the test ends", func(t *testing.T) {
		var j *job
		t.Run("inner", func(t *testing.T) {
			j = newJob(t, writer, "daemon")
			j.Stdout, j.Stderr = nil, nil
			r := faulttest.Run(t, j.Cmd, faulttest.Options{Calls: []string{"openat", "open", "mkdir", "mkdirat"}})
			assert.Equal(t, 3, r.Count, faulttest.Trace(r.Calls))
			require.NoError(t, os.WriteFile(filepath.Join(j.Dir, "go"), nil, 0o600))
			for _, name := range []string{"group", "session"} {
				require.Eventually(t, exists(filepath.Join(j.Dir, name)), 10*time.Second, time.Millisecond, name)
			}
			assert.Equal(t, 3, r.Count)
			assert.True(t, alive(j.Dir))
		})
		assert.Eventually(t, func() bool { return !alive(j.Dir) }, 10*time.Second, time.Millisecond)
	})

	t.Run("is killed with the command, but for daemons", func(t *testing.T) {
		j := newJob(t, writer, "daemon")
		j.Stdout, j.Stderr = nil, nil
		r := faulttest.Run(t, j.Cmd, faulttest.Options{Only: func(c faulttest.Call) bool { return strings.HasSuffix(c.Paths[0], "/main") }, KillAt: 1})
		assert.True(t, r.Hit)
		require.NoError(t, os.WriteFile(filepath.Join(j.Dir, "go"), nil, 0o600))
		require.Eventually(t, exists(filepath.Join(j.Dir, "session")), 10*time.Second, time.Millisecond)
		assert.Equal(t, "go group.started session session.started", j.tree(t))
	})
}

// running counts the processes that work in a directory.
func running(t *testing.T, dir string) (n int) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.TrimSuffix(cwd, " (deleted)") == dir {
			n++
		}
	}
	return n
}
