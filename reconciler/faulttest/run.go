package faulttest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Options say which calls count and what becomes of some of them. The zero value counts all that change something, and
// does nothing to them.
type Options struct {
	// Calls are the names of the system calls to watch, of those in WriteSide. Empty is all of them.
	Calls []string
	// After is asked about each call in order, whether it changes something or not, until it says yes; calls count from the
	// next one on. Nil: from the first. Called lets it be the taking of a lock.
	After func(Call) bool
	// Only narrows down what counts, to what is below a directory, say. Nil: all that changes something.
	Only func(Call) bool

	// KillAt is the number of the call before which the command's process group gets SIGKILL: the command and what it
	// started, but for what has made itself a group of its own (setsid(2)), as a daemon does. 0 is none.
	KillAt int
	// FailAt is the number of the call that is not made but fails with Errno. 0 is none.
	FailAt int
	Errno  unix.Errno
	// Onwards has every call after the one at FailAt fail, too, as on a file system that has become full or read-only.
	Onwards bool
	// ShortWriteAt is the number of the call that is made for half of its bytes, rounded down: a write, pwrite64, writev,
	// copy_file_range or sendfile of two bytes or more. Other calls are made as they are. 0 is none.
	ShortWriteAt int
}

// Called is an Options.After that says yes to the nth call of this name that is about a path with the suffix.
func Called(name, suffix string, nth int) func(Call) bool {
	return func(c Call) bool {
		if c.Name == name && slices.ContainsFunc(c.Paths, func(p string) bool { return strings.HasSuffix(p, suffix) }) {
			nth--
		}
		return nth <= 0
	}
}

// A Result says what a command did.
type Result struct {
	Count int // of the calls that counted
	Calls []Call
	Hit   bool // something was done to a call: the numbers asked for were not past the last one
	State *os.ProcessState
}

// Run runs a command, which was not started, under the filter, and returns when it has ended. That it fails is not the
// test's failure: see Result.State. What it left running goes on, its calls count no more, and it is killed when the test
// ends.
//
// The same command makes the same calls as far as it is deterministic itself: signals that interrupt a call do not have
// it counted twice, and what does not last (pipes, terminals, the wake-ups of Go's runtime) does not count. What goroutines
// do side by side comes in any order, so that the count is the same while the call at a number may not be.
//
// It takes some 20 ms beyond the command's own time, most of it to start the test's binary as the shim, which takes 60 ms
// when that has the race detector.
func Run(t testing.TB, cmd *exec.Cmd, o Options) Result {
	t.Helper()
	reexecuted(t)
	require.NoError(t, cmd.Err)
	if len(o.Calls) == 0 {
		o.Calls = WriteSide()
	}
	watched, err := named(o.Calls)
	require.NoError(t, err)

	// Pdeathsig comes when the thread that started the command ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	listener, open, err := start(cmd, o.Calls)
	if refused := refusedError(""); errors.As(err, &refused) {
		missing(t, err.Error())
	}
	require.NoError(t, err, "cannot start %s under the filter", cmd)

	s, err := supervise(listener, cmd.Process.Pid, watched, o)
	require.NoError(t, err)
	t.Cleanup(s.end)
	open()
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	r := s.result()
	r.State = cmd.ProcessState
	if o.KillAt > 0 && r.Hit {
		// Nothing of the group may be at work when the test looks at what it left.
		require.True(t, s.gone(30*time.Second), "what %s started does not die", cmd)
	}
	require.NoError(t, s.failure())
	return r
}
