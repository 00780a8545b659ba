package faulttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A notification is struct seccomp_notif (linux/seccomp.h).
type notification struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// An answer is struct seccomp_notif_resp (linux/seccomp.h).
type answer struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// A supervisor answers the calls of one command and of all that it started, one at a time.
type supervisor struct {
	listener int
	stop     *os.File // closing it ends the loop, which
	stopped  *os.File // waits at the other end
	group    int
	watched  map[int32]sysCall
	options  Options
	done     chan struct{} // closed when the loop has ended

	mu    sync.Mutex
	begun bool         // After has said yes
	over  bool         // the command was killed or has ended: what it left running does not count
	kill  bool         // the command was killed
	away  map[int]bool // groups of those that have left the command's
	calls []Call
	hit   bool
	err   error
}

func supervise(listener, group int, watched map[int32]sysCall, o Options) (*supervisor, error) {
	stopped, stop, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// Saves switching between processors; not before Linux 6.6.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	s := &supervisor{
		listener: listener, stop: stop, stopped: stopped, group: group, watched: watched, options: o,
		begun: o.After == nil, away: map[int]bool{}, done: make(chan struct{}),
	}
	go s.loop()
	return s, nil
}

// loop answers until nobody is left under the filter, or the test ends.
func (s *supervisor) loop() {
	defer close(s.done)
	fds := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}, {Fd: int32(s.stopped.Fd()), Events: unix.POLLIN}}
	for {
		// A wait in the kernel's own receive would not end with the last process.
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			s.fail(fmt.Errorf("cannot wait for calls: %w", err))
			return
		}
		if fds[1].Revents != 0 || fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			continue
		}
		var n notification
		switch errno := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errno {
		case 0:
			s.handle(n)
		case unix.EINTR, unix.ENOENT: // the latter: a signal or death came first
		default:
			s.fail(fmt.Errorf("cannot receive a call: %w", errno))
			return
		}
	}
}

func (s *supervisor) handle(n notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := unix.Getpgid(int(n.PID))
	if err == nil && group != s.group {
		s.away[group] = true
	}
	if s.kill && (err != nil || group == s.group) {
		return // an answer would have a dying thread make the call before it dies
	}
	reply := answer{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	call, counts := s.count(n)
	if counts {
		at := call.N
		if s.options.Onwards && s.options.FailAt > 0 {
			at = min(at, s.options.FailAt)
		}
		switch at {
		case s.options.KillAt:
			call.Fault = Killed
			s.hit, s.kill, s.over = true, true, true
			s.calls = append(s.calls, call)
			if err := unix.Kill(-s.group, unix.SIGKILL); err != nil {
				s.err = fmt.Errorf("cannot kill the command: %w", err)
			}
			return // without an answer the call is never made
		case s.options.FailAt:
			call.Fault = Fault(unix.ErrnoName(s.options.Errno))
			reply = answer{ID: n.ID, Error: -int32(s.options.Errno)}
		case s.options.ShortWriteAt:
			written, done, err := s.short(call, n.ID)
			if err != nil {
				s.err = fmt.Errorf("cannot make %s short: %w", call, err)
			}
			if done {
				call.Fault = Short
				reply = answer{ID: n.ID, Value: int64(written)}
			}
		}
		s.calls = append(s.calls, call)
	}
	switch errno := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&reply)); errno {
	case 0:
		s.hit = s.hit || call.Fault != ""
	case unix.ENOENT:
		// The thread was killed, or, before Linux 5.19, got a signal and makes the call anew. Neither was made.
		if counts {
			s.calls = s.calls[:len(s.calls)-1]
		}
	default:
		s.err = fmt.Errorf("cannot answer %s: %w", call, errno)
	}
}

// count says what a call is, and gives it its number if it counts.
func (s *supervisor) count(n notification) (call Call, counts bool) {
	if s.over {
		return Call{}, false
	}
	call, changes := describe(s.watched[n.Nr], n)
	if !s.begun {
		s.begun = s.options.After(call)
		return call, false
	}
	if !changes || s.options.Only != nil && !s.options.Only(call) {
		return call, false
	}
	call.N = len(s.calls) + 1
	return call, true
}

func (s *supervisor) ioctl(request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.listener), request, uintptr(arg))
	return errno
}

// result is what there is to say when the command has ended.
func (s *supervisor) result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return Result{Count: len(s.calls), Calls: s.calls, Hit: s.hit}
}

func (s *supervisor) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *supervisor) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// gone waits until nobody is left in the command's process group but zombies, which wait for a parent to look.
func (s *supervisor) gone(timeout time.Duration) bool {
	for end := time.Now().Add(timeout); unix.Kill(-s.group, 0) == nil && alive(s.group); {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// alive says whether a process group has a process that is not dead (proc_pid_stat(5)).
func alive(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var state rune
		var parent, of int
		_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d %d", &state, &parent, &of)
		if err == nil && of == group && state != 'Z' && state != 'X' {
			return true
		}
	}
	return false
}

// end kills what the command left running, and ends the loop.
func (s *supervisor) end() {
	select {
	case <-s.done:
	default:
		s.killRest()
	}
	_ = s.stop.Close()
	<-s.done
	_ = s.stopped.Close()
	_ = unix.Close(s.listener)
}

func (s *supervisor) killRest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill, s.over = true, true
	_ = unix.Kill(-s.group, unix.SIGKILL)
	for group := range s.away {
		_ = unix.Kill(-group, unix.SIGKILL)
	}
}
