// Package faulttest breaks a program at a chosen system call, and a disk at a chosen write. It is imported by tests only,
// and they call Reexec first in their TestMain.
//
// Run runs a command under a seccomp filter that tells the test of each call that changes the host (write, rename, fsync,
// mount, ...) before the kernel does it, in whatever thread or child it is made (seccomp(2), SECCOMP_RET_USER_NOTIF). So the
// calls have one order and one count, and the one at a number can be the program's last, fail, or be done by half. What runs
// is the program as it is: static or dynamic, with nothing compiled in and no tracer attached.
//
// NewDisk makes a btrfs disk that logs each write and each flush. Replay gives the image as it was after any number of them,
// which is what a power cut there would have left of a disk that keeps the order of writes.
//
// It imports testify, golang.org/x/sys and state/snapshot/snapshottest, and needs Linux 5.9 on amd64 or arm64.
package faulttest
