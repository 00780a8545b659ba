package snapshot

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Space is what room a btrfs file system has. It keeps data apart from metadata, such as directories, links and small files; either
// can be full while the other is not. All are bytes.
type Space struct {
	Data, Metadata Pool // both the same where they are mixed
	Mixed          bool
	// Reserve is what the file system keeps back of its metadata.
	Reserve uint64
	// NodeSize is that of the blocks which its trees are made of.
	NodeSize uint64
	// Unallocated is what each device has that is in neither pool yet, and can come to either.
	Unallocated []uint64
}

// A Pool is what has been given to data, or to metadata. Each byte may be on the devices more than once.
type Pool struct {
	Total, Used uint64
	Copies      int  // that are kept of each byte
	Apart       bool // each on another device
}

// Short is how many bytes more it would take to write so much data and metadata.
func (s Space) Short(data, metadata uint64) (shortData, shortMetadata uint64) {
	free := s.Metadata.free()
	free -= min(free, s.Reserve)
	if s.Mixed {
		return beyond(data+metadata, free+usable(s.Unallocated, s.Metadata)), 0
	}
	need := beyond(metadata, free)
	can := usable(s.Unallocated, s.Metadata)
	shortMetadata = beyond(need, can)
	left := take(s.Unallocated, min(need, can), s.Metadata)
	return beyond(data, s.Data.free()+usable(left, s.Data)), shortMetadata
}

func (p Pool) free() uint64 { return beyond(p.Total, p.Used) }

// beyond is how much of a goes beyond b.
func beyond(a, b uint64) uint64 { return a - min(a, b) }

// usable is how much a pool can get of what the devices have.
func usable(devices []uint64, p Pool) uint64 {
	copies := uint64(max(p.Copies, 1))
	var sum uint64
	for _, d := range devices {
		sum += d
	}
	if !p.Apart {
		return sum / copies
	}
	// Each byte is on so many devices: what one of them has beyond its share of the whole is of no use.
	sorted := slices.Sorted(slices.Values(devices))
	for copies > 1 && len(sorted) > 0 {
		largest := sorted[len(sorted)-1]
		if largest <= sum/copies {
			break
		}
		sorted, sum, copies = sorted[:len(sorted)-1], sum-largest, copies-1
	}
	if len(sorted) == 0 {
		return 0
	}
	return sum / copies
}

// take is what the devices have when a pool got so much of it, from those that have most.
func take(devices []uint64, bytes uint64, p Pool) []uint64 {
	left := slices.Sorted(slices.Values(devices))
	raw := bytes * uint64(max(p.Copies, 1))
	for i := len(left) - 1; i >= 0 && raw > 0; i-- {
		most := left[i]
		if p.Apart {
			most = min(most, bytes)
		}
		n := min(most, raw)
		left[i], raw = left[i]-n, raw-n
	}
	return left
}

// The requests, flags and arguments are those of <linux/btrfs.h> and <linux/btrfs_tree.h>.
const (
	iocSpaceInfo = iocWrite | iocRead | magic | 20 | 16<<16
	iocDevInfo   = iocWrite | iocRead | magic | 30 | 4096<<16
	iocFsInfo    = iocRead | magic | 31 | 1024<<16

	groupData     = 1 << 0
	groupMetadata = 1 << 2
	groupRaid1    = 1 << 4
	groupDup      = 1 << 5
	groupRaid10   = 1 << 6
	groupRaid5    = 1 << 7
	groupRaid6    = 1 << 8
	groupRaid1c3  = 1 << 9
	groupRaid1c4  = 1 << 10
	groupReserve  = 1 << 49

	deviceHead = 1 << 20 // the beginning of each device, which is in no pool
)

// spaceSlots is more than there are sorts of block groups.
const spaceSlots = 64

type spaceInfoArgs struct {
	slots, total uint64
	spaces       [spaceSlots]struct{ flags, total, used uint64 }
}

type fsInfoArgs struct {
	maxID, devices uint64
	fsid           [16]byte
	nodeSize       uint32
	_              [988]byte
}

type devInfoArgs struct {
	id    uint64
	_     [16]byte // uuid
	used  uint64
	total uint64
	_     [4056]byte
}

var _ = [1]struct{}{}[unsafe.Sizeof(fsInfoArgs{})-1024]
var _ = [1]struct{}{}[unsafe.Sizeof(devInfoArgs{})-4096]

// SpaceOf tells what room the btrfs file system has that path is on.
func SpaceOf(path string) (s Space, err error) {
	fd, err := openDir(path)
	if err == nil {
		defer unix.Close(fd)
		err = s.read(fd)
	}
	if err != nil {
		return Space{}, fmt.Errorf("cannot tell what room the file system of %s has: %w", path, err)
	}
	return s, nil
}

func (s *Space) read(fd int) error {
	args := spaceInfoArgs{slots: spaceSlots}
	if err := ioctl(fd, iocSpaceInfo, &args); err != nil {
		return err
	}
	for _, i := range args.spaces[:min(args.total, spaceSlots)] {
		copies, apart := profile(i.flags)
		switch {
		case i.flags&groupReserve != 0:
			s.Reserve = i.total
			continue
		case i.flags&groupData != 0:
			s.Data.add(i.total, i.used, copies, apart)
		}
		if i.flags&groupMetadata != 0 {
			s.Metadata.add(i.total, i.used, copies, apart)
			s.Mixed = i.flags&groupData != 0
		}
	}
	var fs fsInfoArgs
	if err := ioctl(fd, iocFsInfo, &fs); err != nil {
		return err
	}
	s.NodeSize = uint64(fs.nodeSize)
	for id, found := uint64(1), uint64(0); id <= fs.maxID && found < fs.devices; id++ {
		dev := devInfoArgs{id: id}
		err := ioctl(fd, iocDevInfo, &dev)
		if err == unix.ENODEV {
			continue // it was removed
		}
		if err != nil {
			return err
		}
		found++
		s.Unallocated = append(s.Unallocated, beyond(dev.total, dev.used+deviceHead))
	}
	return nil
}

// add counts a profile's part of the pool. A pool has more than one while a file system is converted; what is new is of the costlier.
func (p *Pool) add(total, used uint64, copies int, apart bool) {
	p.Total, p.Used = p.Total+total, p.Used+used
	p.Copies, p.Apart = max(p.Copies, copies), p.Apart || apart
}

// profile is how many copies block groups with these flags keep, and whether each is on another device. Those with parity are taken to
// keep as many copies as they can lose devices, and one more.
func profile(flags uint64) (copies int, apart bool) {
	switch {
	case flags&groupRaid1c4 != 0:
		return 4, true
	case flags&(groupRaid1c3|groupRaid6) != 0:
		return 3, true
	case flags&(groupRaid1|groupRaid10|groupRaid5) != 0:
		return 2, true
	case flags&groupDup != 0:
		return 2, false
	}
	return 1, false
}
