package tree

import (
	"golang.org/x/sys/unix"
)

// A namesBuffer lists directories with one buffer for all of them.
type namesBuffer struct{ buf []byte }

// read lists the names in a directory, without those of itself and its parent.
func (b *namesBuffer) read(fd int) ([]string, error) {
	if b.buf == nil {
		b.buf = make([]byte, 64<<10)
	}
	var names []string
	for {
		n, err := unix.Getdents(fd, b.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(b.buf[:n], -1, names)
	}
}
