package snapshot

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Requests about a subvolume's number, and about which one is mounted where none is named (<linux/btrfs.h>).
const (
	iocTreeSearch    = iocRead | iocWrite | magic | 17 | 4096<<16
	iocInoLookup     = iocRead | iocWrite | magic | 18 | 4096<<16
	iocDefaultSubvol = iocWrite | magic | 19 | 8<<16

	rootTree    = 1  // the tree of trees, in which the default is an entry of
	rootTreeDir = 6  // this directory
	dirItem     = 84 // whose items are of this type (<linux/btrfs_tree.h>)
)

// searchArgs are struct btrfs_ioctl_search_args.
type searchArgs struct {
	tree                 uint64
	minObject, maxObject uint64
	_                    uint64 // the least offset
	maxOffset            uint64
	_                    uint64 // the least transaction
	maxTransaction       uint64
	minType, maxType     uint32
	items                uint32
	_                    uint32
	_                    [4]uint64
	buf                  [3992]byte
}

var _ = [1]struct{}{}[unsafe.Sizeof(searchArgs{})-4096]

// ID is the number of the subvolume that path is in, which it keeps under whatever name.
func ID(path string) (id uint64, err error) {
	args := struct {
		tree, object uint64
		name         [4080]byte
	}{object: firstFreeObjectID}
	err = withDir(path, func(fd int) error { return ioctl(fd, iocInoLookup, &args) })
	return args.tree, failure(err, "tell the subvolume of", path)
}

// FileSystem is the id of the btrfs file system that path is on, which is the same for all its subvolumes and mounts.
func FileSystem(path string) (id [16]byte, err error) {
	var args fsInfoArgs
	err = withDir(path, func(fd int) error { return ioctl(fd, iocFsInfo, &args) })
	return args.fsid, failure(err, "tell the file system of", path)
}

// Default is the number of the subvolume that is mounted of path's file system where none is named: the one that is booted.
func Default(path string) (id uint64, err error) {
	args := searchArgs{tree: rootTree, minObject: rootTreeDir, maxObject: rootTreeDir, maxOffset: 1<<64 - 1, maxTransaction: 1<<64 - 1,
		minType: dirItem, maxType: dirItem, items: 1}
	err = withDir(path, func(fd int) error { return ioctl(fd, iocTreeSearch, &args) })
	if err == nil && args.items == 0 {
		err = errors.New("the file system has none")
	}
	// A header of 32 bytes is before the item, which begins with the key of what it leads to: the subvolume's number.
	return binary.LittleEndian.Uint64(args.buf[32:]), failure(err, "tell the default subvolume of", path)
}

// SetDefault makes the subvolume at path the one that is mounted of its file system where none is named.
func SetDefault(path string) error {
	id, err := ID(path)
	if err != nil {
		return err
	}
	return SetDefaultID(path, id)
}

// SetDefaultID makes the subvolume with this number, of the file system that path is on, the one that is mounted of it where none is named.
func SetDefaultID(path string, id uint64) error {
	return failure(withDir(path, func(fd int) error { return ioctl(fd, iocDefaultSubvol, &id) }), "set the default subvolume of the file system of", path)
}
