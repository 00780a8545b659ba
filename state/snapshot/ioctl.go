package snapshot

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests and their arguments are those of <linux/btrfs.h>. The direction bits are those of most architectures.
const (
	iocWrite = 1 << 30
	iocRead  = 2 << 30
	magic    = 0x94 << 8

	subvolCreate     = iocWrite | magic | 14 | 4096<<16
	snapDestroy      = iocWrite | magic | 15 | 4096<<16
	snapCreateV2     = iocWrite | magic | 23 | 4096<<16
	getSubvolRootref = iocRead | iocWrite | magic | 61 | 4096<<16
	inoLookupUser    = iocRead | iocWrite | magic | 62 | 4096<<16

	subvolReadonly    = 1 << 1
	firstFreeObjectID = 256 // the inode of a subvolume's root, and the first id of a subvolume
	nameMax           = 255
)

// Not to be built where the direction bits differ (MIPS, PowerPC, SPARC): the index is 0 elsewhere.
var _ = [1]struct{}{}[unix.FICLONE-(iocWrite|magic|9|4<<16)]

type volArgs struct {
	_    int64 // fd
	name [4088]byte
}

type rootrefArgs struct {
	minTreeID uint64
	refs      [255]struct{ treeID, dirID uint64 }
	count     uint8
	_         [7]byte
}

type lookupArgs struct {
	dirID, treeID uint64
	name          [256]byte
	path          [4080 - 256]byte
}

// Nested lists the subvolumes directly in the subvolume at path, by their paths. It asks the file system, and does not
// look at files.
func Nested(path string) ([]string, error) {
	nested, err := nestedIn(path)
	if err != nil {
		return nil, fmt.Errorf("cannot list the subvolumes in %s: %w", path, err)
	}
	slices.Sort(nested)
	return nested, nil
}

func nestedIn(path string) (nested []string, err error) {
	fd, err := openDir(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for refs := (rootrefArgs{minTreeID: firstFreeObjectID}); ; {
		// EOVERFLOW says that there are more than the buffer holds, which is full, and sets where to go on.
		more := false
		if err := ioctl(fd, getSubvolRootref, &refs); err == unix.EOVERFLOW {
			more = true
		} else if err != nil {
			return nil, err
		}
		for _, ref := range refs.refs[:refs.count] {
			lookup := lookupArgs{dirID: ref.dirID, treeID: ref.treeID}
			err := ioctl(fd, inoLookupUser, &lookup)
			if err == unix.ENOENT {
				continue // deleted in between
			}
			if err != nil {
				return nil, err
			}
			nested = append(nested, filepath.Join(path, text(lookup.path[:]), text(lookup.name[:])))
		}
		if !more {
			return nested, nil
		}
	}
}

// destroy deletes the subvolume by its name, whatever files it holds; the kernel refuses when it holds subvolumes.
func destroy(path string) error {
	var args volArgs
	return at(path, args.name[:], func(dir int) error { return ioctl(dir, snapDestroy, &args) })
}

// at opens the directory that path is in and puts its last element in name.
func at(path string, name []byte, do func(dir int) error) error {
	base := filepath.Base(path)
	if len(base) > nameMax {
		return unix.ENAMETOOLONG
	}
	copy(name, base)
	fd, err := openDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

func openDir(path string) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func ioctl[T any](fd int, request uintptr, args *T) error {
	return retry(func() error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(args))); errno != 0 {
			return errno
		}
		return nil
	})
}

func text(name []byte) string {
	before, _, _ := bytes.Cut(name, []byte{0})
	return string(before)
}
