package faulttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Call is one system call that was about to be made.
type Call struct {
	// N is its place among the calls that count, from 1; 0 is one that does not count, as it comes before Options.After,
	// is not in Options.Only, or changes nothing.
	N     int
	Name  string
	Paths []string // the files it is about, as its process sees them: "socket:[123]" for what has no name
	PID   int      // of the thread
	Args  [6]uint64
	Fault Fault // what was done to it
}

// String is a line of the trace: 12 renameat2 /a/.new /a/file killed. An ioctl has its request.
func (c Call) String() string {
	s := fmt.Sprintf("%d %s", c.N, c.Name)
	if c.Name == "ioctl" {
		s += fmt.Sprintf(" %#x", uint32(c.Args[1]))
	}
	for _, p := range c.Paths {
		s += " " + p
	}
	if c.Fault != "" {
		s += " " + string(c.Fault)
	}
	return s
}

// A Fault says what Run did to a call; empty is nothing.
type Fault string

// Killed and Short are faults; the other one is an error's name, such as ENOSPC.
const (
	Killed Fault = "killed"
	Short  Fault = "short"
)

// Trace is one line a call.
func Trace(calls []Call) string {
	var b strings.Builder
	for _, c := range calls {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// describe says what a call is about to do and whether it changes anything but what the test itself listens to.
func describe(known sysCall, n notification) (call Call, changes bool) {
	call = Call{Name: known.name, PID: int(n.PID), Args: n.Args}
	dir := "cwd"
	for i, what := range known.args {
		switch what {
		case 'd':
			dir = "cwd"
			if fd := int32(n.Args[i]); fd != unix.AT_FDCWD {
				dir = fmt.Sprintf("fd/%d", fd)
			}
		case 'p':
			path := readString(call.PID, n.Args[i])
			if !filepath.IsAbs(path) {
				path = filepath.Join(link(call.PID, dir), path)
			}
			call.Paths = append(call.Paths, path)
			changes = changes || !ephemeral(path)
		case 'f', 'r':
			path := link(call.PID, fmt.Sprintf("fd/%d", int32(n.Args[i])))
			call.Paths = append(call.Paths, path)
			changes = changes || what == 'f' && !ephemeral(path)
		}
	}
	switch known.name {
	case "sync":
		changes = true
	case "ioctl":
		changes = changes && !reads(uint32(n.Args[1]))
	case "openat2":
		var flags uint64 // the first field of struct open_how
		read := readMemory(call.PID, n.Args[2], unsafe.Slice((*byte)(unsafe.Pointer(&flags)), 8))
		changes = changes && (read < 8 || flags&opensToWrite != 0)
	}
	return call, changes
}

// ephemeral says that nothing of what is written to a file lasts: pipes (standard output, too), terminals, and the event
// descriptors by which Go's runtime wakes its threads, at moments of its own choice.
func ephemeral(path string) bool {
	for _, prefix := range []string{"pipe:", "anon_inode:", "/dev/null", "/dev/tty", "/dev/pts/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// reads says of an ioctl's request that it only reads. A request that the kernel only answers says so in itself
// (linux/ioctl.h), but for two of btrfs (linux/btrfs.h), which has others that pass what is looked for the same way.
func reads(request uint32) bool {
	const (
		terminal = 'T'
		btrfs    = 0x94

		startSync, qgroupLimit = 24, 43

		treeSearch, inoLookup, spaceInfo, devInfo, inoPaths       = 17, 18, 20, 30, 35
		logicalIno, logicalInoV2, getSubvolRootref, inoLookupUser = 36, 59, 61, 62
	)
	onlyAnswers := request>>30 == 2
	kind, nr := request>>8&0xff, request&0xff
	if kind != btrfs {
		return onlyAnswers || kind == terminal
	}
	switch nr {
	case startSync, qgroupLimit:
		return false
	case treeSearch, inoLookup, spaceInfo, devInfo, inoPaths, logicalIno, logicalInoV2, getSubvolRootref, inoLookupUser:
		return true
	}
	return onlyAnswers
}

// link is what a link below /proc/TID points to, empty if the thread has gone.
func link(tid int, name string) string {
	target, _ := os.Readlink(fmt.Sprintf("/proc/%d/%s", tid, name))
	return target
}

// readString reads a path from a thread's memory.
func readString(tid int, addr uint64) string {
	buf := make([]byte, unix.PathMax)
	buf = buf[:readMemory(tid, addr, buf)]
	if end := bytes.IndexByte(buf, 0); end >= 0 {
		buf = buf[:end]
	}
	return string(buf)
}

// readMemory reads from a thread's memory up to where it ends, and returns how much that is. What is read goes page by page,
// as process_vm_readv(2) takes a range as a whole or not at all.
func readMemory(tid int, addr uint64, buf []byte) int {
	var remote []unix.RemoteIovec
	for at, left := addr, uint64(len(buf)); left > 0; {
		n := min(left, 4096-at%4096)
		remote = append(remote, unix.RemoteIovec{Base: uintptr(at), Len: int(n)})
		at, left = at+n, left-n
	}
	total := 0
	for len(remote) > 0 { // at most IOV_MAX ranges a call
		some := remote[:min(len(remote), 1024)]
		remote = remote[len(some):]
		local := []unix.Iovec{{Base: &buf[total]}}
		local[0].SetLen(len(buf) - total)
		n, err := unix.ProcessVMReadv(tid, local, some, 0)
		if err != nil {
			break
		}
		total += n
	}
	return total
}
