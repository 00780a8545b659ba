package faulttest

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of struct seccomp_data (linux/seccomp.h): where the number and the architecture are, and the low half of argument n. Both
// architectures are little-endian.
const (
	dataNr   = 0
	dataArch = 4
)

func dataArg(n int) uint32 { return uint32(16 + 8*n) }

// opensToWrite are the flags without which opening changes nothing. O_TMPFILE comes with a way to write.
const opensToWrite = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC

// filter is the program (seccomp(2)) that lets everything pass but has the listener decide on calls. Calls of another
// architecture, such as those of a 32-bit program, pass.
func filter(calls []sysCall) ([]unix.SockFilter, error) {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
	)
	size := 3
	for _, c := range calls {
		size++
		if c.flags > 0 {
			size += 2
		}
	}
	allow, notify := size, size+1
	if notify > 0xff {
		return nil, fmt.Errorf("cannot watch %d system calls: the filter's jumps reach no further than 255 instructions", len(calls))
	}
	var prog []unix.SockFilter
	to := func(target int) uint8 { return uint8(target - len(prog) - 1) }
	emit := func(code uint16, k uint32, yes, no uint8) {
		prog = append(prog, unix.SockFilter{Code: code, K: k, Jt: yes, Jf: no})
	}

	emit(load, dataArch, 0, 0)
	emit(equal, nativeArch, 0, to(allow))
	emit(load, dataNr, 0, 0)
	for _, c := range calls {
		if c.flags == 0 {
			emit(equal, c.nr, to(notify), 0)
			continue
		}
		emit(equal, c.nr, 0, 2)
		emit(load, dataArg(c.flags), 0, 0)
		emit(bits, opensToWrite, to(notify), to(allow))
	}
	emit(give, unix.SECCOMP_RET_ALLOW, 0, 0)
	emit(give, unix.SECCOMP_RET_USER_NOTIF, 0, 0)
	return prog, nil
}

// install puts this thread, and all that it starts, under a filter. The descriptor is where the calls are told.
func install(prog []unix.SockFilter) (listener int, err error) {
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	set := func(flags uintptr) (int, unix.Errno) {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
		runtime.KeepAlive(prog)
		return int(fd), errno
	}
	// Once told, a call waits for its answer: the signals by which Go's runtime preempts do not have it made, and counted,
	// twice. Linux before 5.19 has no such flag; there the supervisor takes the first count back.
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	fd, errno := set(flags)
	if errno == unix.EINVAL {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		fd, errno = set(flags)
	}
	if errno == unix.EACCES { // not root: only for one who can gain no privileges from what it runs
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("cannot set no_new_privs: %w", err)
		}
		fd, errno = set(flags)
	}
	if errno != 0 {
		return -1, fmt.Errorf("cannot install a seccomp filter with a listener: %w", errno)
	}
	return fd, nil
}
