package hostfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A Dir is a directory that was walked to. Names are of what stands in it; links are never followed.
type Dir struct {
	entry
	// Path is what was walked, as seen from inside the root.
	Path string

	users int
	err   error
}

// OwnedBy is the uid of the directory's owner.
func (d *Dir) OwnedBy() uint32 { return d.uid }

func (d *Dir) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: Join(d.Path, name), Err: err}
}

// Join joins a directory and a name in it.
func Join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// Lstat looks at what stands there.
func (d *Dir) Lstat(name string) (st unix.Stat_t, err error) {
	err = d.fail("lstat", name, unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW))
	return st, err
}

// Exists says whether anything stands there.
func (d *Dir) Exists(name string) (bool, error) {
	_, err := d.Lstat(name)
	if IsMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// ReadlinkBuf reads a link into buf, which spares an allocation a link. ok is false where something else stands than a
// link that fits.
func (d *Dir) ReadlinkBuf(name string, buf []byte) (n int, ok bool, err error) {
	n, err = unix.Readlinkat(d.fd, name, buf)
	switch {
	case err == unix.EINVAL:
		return 0, false, nil
	case err != nil:
		return 0, false, d.fail("readlink", name, err)
	}
	return n, n < len(buf), nil
}

// Readlink reads a link.
func (d *Dir) Readlink(name string) (string, error) {
	text, err := readlink(d.fd, name)
	return text, d.fail("readlink", name, err)
}

// Symlink makes a link where nothing stands.
func (d *Dir) Symlink(text, name string) error {
	return d.fail("symlink", name, unix.Symlinkat(text, d.fd, name))
}

// ReplaceSymlink makes a link in place of what stands there, which is not a directory.
func (d *Dir) ReplaceSymlink(text, name string) error {
	temp := TempName(name)
	err := unix.Symlinkat(text, d.fd, temp)
	if err == unix.EEXIST {
		if err := d.Unlink(temp); err != nil {
			return err
		}
		err = unix.Symlinkat(text, d.fd, temp)
	}
	if err != nil {
		return d.fail("symlink", temp, err)
	}
	return d.put(temp, name)
}

// put renames what was made under a temporary name, and removes it where that fails.
func (d *Dir) put(temp, name string) error {
	err := d.Rename(temp, name)
	if err != nil {
		_ = unix.Unlinkat(d.fd, temp, 0)
	}
	return err
}

// Mkdir makes a directory where nothing stands. It appears with its owner and mode, or not at all: one that a cut has left
// with others could not be told from somebody else's.
func (d *Dir) Mkdir(name string, a Attributes) error {
	temp := TempName(name)
	if err := d.ClearTemp(name); err != nil {
		return err
	}
	if err := unix.Mkdirat(d.fd, temp, 0o700); err != nil {
		return d.fail("mkdir", temp, err)
	}
	err := d.SetDirectory(temp, a)
	if err == nil {
		err = d.fail("mkdir", name, unix.Renameat2(d.fd, temp, d.fd, name, unix.RENAME_NOREPLACE))
	}
	if err != nil {
		_ = d.Rmdir(temp)
	}
	return err
}

// SetDirectory gives a directory its owner and mode.
func (d *Dir) SetDirectory(name string, a Attributes) error {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return d.fail("open", name, err)
	}
	defer unix.Close(fd)
	return d.fail("chown", name, a.Set(fd))
}

// Open opens a regular file for reading; anything else is an error, and nothing is waited for.
func (d *Dir) Open(name string) (*os.File, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	if e, err := stat(fd); err != nil || !e.is(unix.S_IFREG) {
		unix.Close(fd)
		return nil, d.fail("open", name, unix.EINVAL)
	}
	return os.NewFile(uintptr(fd), Join(d.Path, name)), nil
}

// Unlink removes what stands there and is no directory; where nothing does, that is no error.
func (d *Dir) Unlink(name string) error { return d.remove(name, 0) }

// Rmdir removes an empty directory; where nothing stands, that is no error.
func (d *Dir) Rmdir(name string) error { return d.remove(name, unix.AT_REMOVEDIR) }

func (d *Dir) remove(name string, flags int) error {
	err := unix.Unlinkat(d.fd, name, flags)
	if err == unix.ENOENT {
		return nil
	}
	return d.fail("remove", name, err)
}

// Rename puts from in the place of what stands at to.
func (d *Dir) Rename(from, to string) error {
	return d.fail("rename", to, unix.Renameat(d.fd, from, d.fd, to))
}

// Exchange swaps two things in one step, so that neither name is ever missing.
func (d *Dir) Exchange(a, b string) error {
	return d.fail("exchange", b, unix.Renameat2(d.fd, a, d.fd, b, unix.RENAME_EXCHANGE))
}
