package snapshot

import "golang.org/x/sys/unix"

const (
	subvolGetFlags = iocRead | magic | 25 | 8<<16
	subvolSetFlags = iocWrite | magic | 26 | 8<<16
)

// IsReadOnly says whether the subvolume at path cannot be changed.
func IsReadOnly(path string) (bool, error) {
	flags, err := flagsOf(path)
	return flags&subvolReadonly != 0, failure(err, "read the flags of", path)
}

// SetReadOnly sees to it that the subvolume at path cannot be changed any more.
func SetReadOnly(path string) error {
	flags, err := flagsOf(path)
	if err == nil {
		flags |= subvolReadonly
		err = withDir(path, func(fd int) error { return ioctl(fd, subvolSetFlags, &flags) })
	}
	return failure(err, "make read-only", path)
}

func flagsOf(path string) (flags uint64, err error) {
	err = withDir(path, func(fd int) error { return ioctl(fd, subvolGetFlags, &flags) })
	return flags, err
}

func withDir(path string, do func(fd int) error) error {
	fd, err := openDir(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}
