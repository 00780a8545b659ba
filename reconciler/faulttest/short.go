package faulttest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// short makes a write for half of its bytes in its process's stead: through copies of its descriptors, which have the same
// offset, with bytes from its memory. A call that is no such write, or whose half is nothing, it leaves alone.
func (s *supervisor) short(c Call, id uint64) (written int, done bool, err error) {
	to, from := 0, 0 // which arguments are the descriptors
	switch c.Name {
	case "write", "pwrite64", "writev":
	case "copy_file_range":
		to = 2
		if c.Args[1] != 0 || c.Args[3] != 0 {
			return 0, false, nil // the offsets are in its memory
		}
	case "sendfile":
		from = 1
		if c.Args[2] != 0 {
			return 0, false, nil
		}
	default:
		return 0, false, nil
	}
	process, err := processOf(c.PID)
	if err != nil {
		return 0, false, err
	}
	pidfd, err := unix.PidfdOpen(process, 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(pidfd)
	out, err := unix.PidfdGetfd(pidfd, int(int32(c.Args[to])), 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(out)
	in, err := unix.PidfdGetfd(pidfd, int(int32(c.Args[from])), 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(in)
	if errno := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)); errno != 0 {
		return 0, false, nil // it has died: what its number now names may be another process
	}

	switch c.Name {
	case "write", "pwrite64":
		bytes := memory(c.PID, []unix.RemoteIovec{{Base: uintptr(c.Args[1]), Len: int(c.Args[2] / 2)}})
		if len(bytes) == 0 {
			return 0, false, nil
		}
		if c.Name == "write" {
			written, err = unix.Write(out, bytes)
		} else {
			written, err = unix.Pwrite(out, bytes, int64(c.Args[3]))
		}
	case "writev":
		bytes := memory(c.PID, vectors(c))
		if len(bytes) < 2 {
			return 0, false, nil
		}
		written, err = unix.Write(out, bytes[:len(bytes)/2])
	case "copy_file_range":
		if size := min(int(c.Args[4]), remaining(in)) / 2; size > 0 {
			written, err = unix.CopyFileRange(in, nil, out, nil, size, int(c.Args[5]))
		}
	case "sendfile":
		if size := min(int(c.Args[3]), remaining(in)) / 2; size > 0 {
			written, err = unix.Sendfile(out, in, nil, size)
		}
	}
	return written, written > 0, err
}

// vectors are where a writev's bytes are.
func vectors(c Call) []unix.RemoteIovec {
	const most = 1024 // UIO_MAXIOV
	v := make([]unix.RemoteIovec, min(c.Args[2], most))
	if len(v) == 0 {
		return nil
	}
	const size = int(unsafe.Sizeof(unix.RemoteIovec{}))
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*size)
	return v[:readMemory(c.PID, c.Args[1], raw)/size]
}

// memory is what is in some ranges of a thread's memory.
func memory(tid int, from []unix.RemoteIovec) []byte {
	var b []byte
	for _, v := range from {
		part := make([]byte, v.Len)
		n := readMemory(tid, uint64(v.Base), part)
		b = append(b, part[:n]...)
		if n < len(part) {
			break
		}
	}
	return b
}

// remaining is how much of a file is left to read. Programs ask for more than there is.
func remaining(fd int) int {
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	at, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0
	}
	return max(0, int(info.Size-at))
}

// processOf is the process that a thread is of (proc(5), status).
func processOf(tid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nTgid:")
	id, _, _ := strings.Cut(rest, "\n")
	return strconv.Atoi(strings.TrimSpace(id))
}
