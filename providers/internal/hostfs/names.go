package hostfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// Names lists what is in a directory, in no order.
func (t *Tree) Names(dir string) ([]string, error) {
	d, err := t.acquire(dir)
	if err != nil {
		return nil, err
	}
	defer t.release(d)
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fail("open", "", err)
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	return f.Readdirnames(-1)
}
