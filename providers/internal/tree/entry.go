package tree

import (
	"cmp"

	"golang.org/x/sys/unix"
)

// A Stat is what the kernel says of a file, without what changes when nobody changes the file. The device is not part of
// it: a btrfs subvolume gets another number with every mount.
type Stat struct {
	Mode         uint32 // with the type
	UID, GID     uint32
	Size         int64
	Mtime, Ctime int64 // nanoseconds
	Ino          uint64
}

// StatOf takes over what the kernel said.
func StatOf(st *unix.Stat_t) Stat {
	return Stat{Mode: st.Mode, UID: st.Uid, GID: st.Gid, Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Ino: st.Ino}
}

// IsRegular says whether it is a regular file.
func (s Stat) IsRegular() bool { return s.Mode&unix.S_IFMT == unix.S_IFREG }

// IsDir says whether it is a directory.
func (s Stat) IsDir() bool { return s.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsLink says whether it is a symlink.
func (s Stat) IsLink() bool { return s.Mode&unix.S_IFMT == unix.S_IFLNK }

// Perm is the mode without the type.
func (s Stat) Perm() uint32 { return s.Mode & 0o7777 }

// Kind names the type of file for messages.
func (s Stat) Kind() string {
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "regular file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// An Entry is one thing in a directory.
type Entry struct {
	Path string // below the directory, without a leading slash
	Full string // with the directory
	Stat Stat
	Link string // what a symlink says
	// Digest is that of a regular file's content, sha256:…; Known is when, in Unix nanoseconds, the content had it.
	Digest string
	Known  int64
}

// Compare orders paths as a walk meets them: a directory before what is in it, and that before the directory's next
// neighbour.
func Compare(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if x, y := a[i], b[i]; x != y {
			switch {
			case x == '/':
				return -1
			case y == '/':
				return 1
			}
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}
