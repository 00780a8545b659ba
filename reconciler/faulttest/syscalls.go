package faulttest

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A sysCall is what the filter and the trace know of one system call.
type sysCall struct {
	name string
	nr   uint32
	// args says what the first arguments are, one letter each: d a directory's descriptor, p a path (below the directory
	// before it), f a descriptor, r a descriptor that is only read from, - anything else.
	args string
	// flags is the argument with the open flags, of which the filter lets pass those that only read. Zero for other calls:
	// no call has them first.
	flags int
}

// WriteSide lists the system calls that change a host, by name: what Run watches unless told otherwise. Opening a file
// only to read it is not among them.
func WriteSide() []string {
	var names []string
	for _, c := range sysCalls() {
		names = append(names, c.name)
	}
	return names
}

func sysCalls() []sysCall {
	return append(legacySysCalls(),
		sysCall{"openat", unix.SYS_OPENAT, "dp", 2},
		sysCall{"openat2", unix.SYS_OPENAT2, "dp", 0},
		sysCall{"renameat", unix.SYS_RENAMEAT, "dpdp", 0},
		sysCall{"renameat2", unix.SYS_RENAMEAT2, "dpdp", 0},
		sysCall{"linkat", unix.SYS_LINKAT, "dpdp", 0},
		sysCall{"symlinkat", unix.SYS_SYMLINKAT, "-dp", 0},
		sysCall{"unlinkat", unix.SYS_UNLINKAT, "dp", 0},
		sysCall{"mkdirat", unix.SYS_MKDIRAT, "dp", 0},
		sysCall{"mknodat", unix.SYS_MKNODAT, "dp", 0},

		sysCall{"write", unix.SYS_WRITE, "f", 0},
		sysCall{"pwrite64", unix.SYS_PWRITE64, "f", 0},
		sysCall{"writev", unix.SYS_WRITEV, "f", 0},
		sysCall{"pwritev", unix.SYS_PWRITEV, "f", 0},
		sysCall{"pwritev2", unix.SYS_PWRITEV2, "f", 0},
		sysCall{"truncate", unix.SYS_TRUNCATE, "p", 0},
		sysCall{"ftruncate", unix.SYS_FTRUNCATE, "f", 0},
		sysCall{"fallocate", unix.SYS_FALLOCATE, "f", 0},
		sysCall{"copy_file_range", unix.SYS_COPY_FILE_RANGE, "r-f", 0},
		sysCall{"sendfile", unix.SYS_SENDFILE, "fr", 0},
		sysCall{"splice", unix.SYS_SPLICE, "r-f", 0},

		sysCall{"sync", unix.SYS_SYNC, "", 0},
		sysCall{"syncfs", unix.SYS_SYNCFS, "f", 0},
		sysCall{"fsync", unix.SYS_FSYNC, "f", 0},
		sysCall{"fdatasync", unix.SYS_FDATASYNC, "f", 0},
		sysCall{"sync_file_range", unix.SYS_SYNC_FILE_RANGE, "f", 0},

		sysCall{"fchmod", unix.SYS_FCHMOD, "f", 0},
		sysCall{"fchmodat", unix.SYS_FCHMODAT, "dp", 0},
		sysCall{"fchmodat2", unix.SYS_FCHMODAT2, "dp", 0},
		sysCall{"fchown", unix.SYS_FCHOWN, "f", 0},
		sysCall{"fchownat", unix.SYS_FCHOWNAT, "dp", 0},
		sysCall{"utimensat", unix.SYS_UTIMENSAT, "dp", 0},
		sysCall{"setxattr", unix.SYS_SETXATTR, "p", 0},
		sysCall{"lsetxattr", unix.SYS_LSETXATTR, "p", 0},
		sysCall{"fsetxattr", unix.SYS_FSETXATTR, "f", 0},
		sysCall{"removexattr", unix.SYS_REMOVEXATTR, "p", 0},
		sysCall{"lremovexattr", unix.SYS_LREMOVEXATTR, "p", 0},
		sysCall{"fremovexattr", unix.SYS_FREMOVEXATTR, "f", 0},

		sysCall{"ioctl", unix.SYS_IOCTL, "f", 0},
		sysCall{"mount", unix.SYS_MOUNT, "-p", 0},
		sysCall{"umount2", unix.SYS_UMOUNT2, "p", 0},
		sysCall{"flock", unix.SYS_FLOCK, "f", 0},
		sysCall{"sendto", unix.SYS_SENDTO, "f", 0},
		sysCall{"sendmsg", unix.SYS_SENDMSG, "f", 0},
		sysCall{"sendmmsg", unix.SYS_SENDMMSG, "f", 0},
	)
}

// named finds system calls by their names. A name that this architecture does not have but another does is left out.
func named(names []string) (map[int32]sysCall, error) {
	known := map[string]sysCall{}
	for _, c := range sysCalls() {
		known[c.name] = c
	}
	calls := map[int32]sysCall{}
	for _, name := range names {
		c, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("cannot watch %s: it is not in faulttest.WriteSide", name)
		}
		calls[int32(c.nr)] = c
	}
	return calls, nil
}
