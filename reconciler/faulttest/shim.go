package faulttest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A shim is the process that becomes the command. It gets the filter first, which a process can only give itself.
//
// Handing out the listener takes a system call that the filter may watch, when nobody listens yet. So the shim puts it in the
// place of the pipe it would report an error on: the test reads the pipe's end, takes the descriptor by pidfd_getfd(2), and
// then closes the gate, on which the shim waits. dup3 and read are not watched.
type shim struct {
	Report, Gate int // descriptors
	Path         string
	Calls        []string
}

func (s shim) become() error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	report := os.NewFile(uintptr(s.Report), "report")
	refuse := func(err error) error {
		_, _ = report.WriteString(err.Error())
		return err
	}
	byNumber, err := named(s.Calls)
	if err != nil {
		return refuse(err)
	}
	var calls []sysCall
	for _, c := range sysCalls() { // in an order that is always the same
		if _, ok := byNumber[int32(c.nr)]; ok {
			calls = append(calls, c)
		}
	}
	prog, err := filter(calls)
	if err != nil {
		return refuse(err)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, role+"=") })
	unix.CloseOnExec(s.Gate)

	listener, err := install(prog)
	if err != nil {
		return refuse(err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_DUP3, uintptr(listener), uintptr(s.Report), unix.O_CLOEXEC); errno != 0 {
		return errno
	}
	var b [1]byte
	for {
		if _, err := unix.Read(s.Gate, b[:]); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return fmt.Errorf("cannot execute %s: %w", s.Path, syscall.Exec(s.Path, os.Args, env))
}

// start starts the command by way of a shim, with the listener taken and the gate still shut: open lets the command go.
func start(cmd *exec.Cmd, calls []string) (listener int, open func(), err error) {
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return -1, nil, err
	}
	defer report.Close()
	defer reportEnd.Close()
	gate, gateEnd, err := os.Pipe()
	if err != nil {
		return -1, nil, err
	}
	defer gate.Close()
	defer func() {
		if err != nil {
			_ = gateEnd.Close()
		}
	}()

	fd := 3 + len(cmd.ExtraFiles)
	role, err := environment(roleShim, shim{Report: fd, Gate: fd + 1, Path: cmd.Path, Calls: calls})
	if err != nil {
		return -1, nil, err
	}
	cmd.Env = append(cmd.Environ(), role)
	cmd.ExtraFiles = append(cmd.ExtraFiles, reportEnd, gate)
	if cmd.Path, err = os.Executable(); err != nil {
		return -1, nil, err
	}
	if err := cmd.Start(); err != nil {
		return -1, nil, err
	}
	defer func() {
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	_ = reportEnd.Close()
	_ = report.SetReadDeadline(time.Now().Add(time.Minute))
	refusal, err := io.ReadAll(report)
	if err != nil {
		return -1, nil, fmt.Errorf("cannot hear from the shim: %w", err)
	}
	if len(refusal) > 0 {
		return -1, nil, refusedError(refusal)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("cannot open the shim: %w", err)
	}
	defer unix.Close(pidfd)
	if listener, err = unix.PidfdGetfd(pidfd, fd, 0); err != nil {
		return -1, nil, fmt.Errorf("cannot take the shim's listener: %w", err)
	}
	return listener, func() { _ = gateEnd.Close() }, nil
}

// A refusedError is the shim's: this machine does not let it have its filter.
type refusedError string

func (e refusedError) Error() string { return string(e) }

// missing skips a test where the machine cannot do it, and fails it where CI=true says that it must.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
