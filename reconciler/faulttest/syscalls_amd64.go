package faulttest

import "golang.org/x/sys/unix"

// nativeArch is what seccomp calls this architecture.
const nativeArch = unix.AUDIT_ARCH_X86_64

// legacySysCalls are those that newer architectures have no more: all of them without a directory's descriptor.
func legacySysCalls() []sysCall {
	return []sysCall{
		{"open", unix.SYS_OPEN, "p", 1},
		{"creat", unix.SYS_CREAT, "p", 0},
		{"rename", unix.SYS_RENAME, "pp", 0},
		{"link", unix.SYS_LINK, "pp", 0},
		{"symlink", unix.SYS_SYMLINK, "-p", 0},
		{"unlink", unix.SYS_UNLINK, "p", 0},
		{"rmdir", unix.SYS_RMDIR, "p", 0},
		{"mkdir", unix.SYS_MKDIR, "p", 0},
		{"mknod", unix.SYS_MKNOD, "p", 0},
		{"chmod", unix.SYS_CHMOD, "p", 0},
		{"chown", unix.SYS_CHOWN, "p", 0},
		{"lchown", unix.SYS_LCHOWN, "p", 0},
		{"utime", unix.SYS_UTIME, "p", 0},
		{"utimes", unix.SYS_UTIMES, "p", 0},
		{"futimesat", unix.SYS_FUTIMESAT, "dp", 0},
	}
}
