package faulttest

import "golang.org/x/sys/unix"

// nativeArch is what seccomp calls this architecture.
const nativeArch = unix.AUDIT_ARCH_AARCH64

// legacySysCalls are those that newer architectures, such as this one, have no more.
func legacySysCalls() []sysCall { return nil }
