//go:build !cgo

package snapshot

import (
	"golang.org/x/sys/unix"
)

type volArgsV2 struct {
	fd    int64
	_     uint64 // transid
	flags uint64
	_     [4]uint64
	name  [4040]byte
}

func create(path string) error {
	var args volArgs
	return at(path, args.name[:], func(dir int) error { return ioctl(dir, subvolCreate, &args) })
}

func snapshot(src, dst string, readonly bool) error {
	fd, err := openDir(src)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	args := volArgsV2{fd: int64(fd)}
	if readonly {
		args.flags = subvolReadonly
	}
	return at(dst, args.name[:], func(dir int) error { return ioctl(dir, snapCreateV2, &args) })
}
