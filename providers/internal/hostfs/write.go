package hostfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Names that begin or end like this are opdbus' own and never targets.
const (
	tempPrefix   = ".opdbus-"
	backupSuffix = ".opdbus-backup"
)

// IsOwnName says whether a name is one that opdbus gives to what it makes on the way.
func IsOwnName(name string) bool {
	return name == ".opdbus" || strings.HasPrefix(name, tempPrefix) || strings.HasSuffix(name, backupSuffix)
}

// BackupOf is where what stands at target is kept while something of ours stands there.
func BackupOf(target string) string {
	at := strings.LastIndexByte(target, '/') + 1
	return target[:at] + "." + target[at:] + backupSuffix
}

// TempName is the name under which the successor of what is called name is made. It is always the same, so that one that
// a cut left behind is found again; only one process at a time writes, under the lock.
func TempName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return tempPrefix + hex.EncodeToString(sum[:8])
}

// ClearTemp removes what a cut has left of an earlier attempt to replace name.
func (d *Dir) ClearTemp(name string) error {
	temp := TempName(name)
	if err := d.Unlink(temp); !errors.Is(err, unix.EISDIR) {
		return err
	}
	return d.Rmdir(temp)
}

// Attributes are a file's owner and permissions. The zero value is a file that only root can use.
type Attributes struct {
	UID, GID int
	Mode     uint32 // permissions with set-id and sticky bits
}

// Set gives them to an open file: first the owner, since changing that clears the set-id bits.
func (a Attributes) Set(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != a.UID || int(st.Gid) != a.GID {
		if err := unix.Fchown(fd, a.UID, a.GID); err != nil {
			return err
		}
	} else if st.Mode&0o7777 == a.Mode {
		return nil
	}
	return unix.Fchmod(fd, a.Mode)
}

// order has a file's content on its way before its name: a file system may bring a name to disk long before what was written
// under it, and a cut would leave an empty file there that is not what was before and not what was wanted. It costs no
// fsync: what is written out first comes first in the journal too (sync_file_range(2)).
func order(fd int) error {
	for {
		err := unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
		switch err {
		case unix.EINTR:
			continue
		case unix.ENOSYS, unix.EINVAL, unix.ESPIPE: // not here
			return unix.Fdatasync(fd)
		}
		return err
	}
}

// CreateFile makes a file where nothing stands. It appears whole: fill writes into a file that has no name yet.
func (d *Dir) CreateFile(name string, a Attributes, fill func(*os.File) error) error {
	fd, err := unix.Openat(d.fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == unix.EOPNOTSUPP || err == unix.EISDIR || err == unix.ENOENT || err == unix.EINVAL {
		return d.createByRename(name, a, fill)
	}
	if err != nil {
		return d.fail("create", name, err)
	}
	f := os.NewFile(uintptr(fd), Join(d.Path, name))
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	if err := a.Set(fd); err != nil {
		return d.fail("chown", name, err)
	}
	if err := order(fd); err != nil {
		return d.fail("write", name, err)
	}
	err = unix.Linkat(fd, "", d.fd, name, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT || err == unix.EPERM { // without CAP_DAC_READ_SEARCH
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), d.fd, name, unix.AT_SYMLINK_FOLLOW)
	}
	return d.fail("link", name, err)
}

// createByRename is CreateFile for file systems without nameless files.
func (d *Dir) createByRename(name string, a Attributes, fill func(*os.File) error) error {
	temp, err := d.write(name, a, fill)
	if err != nil {
		return err
	}
	if err = unix.Renameat2(d.fd, temp, d.fd, name, unix.RENAME_NOREPLACE); err == unix.EINVAL {
		if err = unix.Linkat(d.fd, temp, d.fd, name, 0); err == nil {
			return d.Unlink(temp)
		}
	}
	if err != nil {
		_ = d.Unlink(temp)
	}
	return d.fail("rename", name, err)
}

// ReplaceFile makes a file in place of what stands there, which is not a directory, in one step.
func (d *Dir) ReplaceFile(name string, a Attributes, fill func(*os.File) error) error {
	temp, err := d.write(name, a, fill)
	if err != nil {
		return err
	}
	return d.put(temp, name)
}

// write makes a file under a temporary name.
func (d *Dir) write(name string, a Attributes, fill func(*os.File) error) (string, error) {
	temp := TempName(name)
	if err := d.Unlink(temp); err != nil {
		return "", err
	}
	fd, err := unix.Openat(d.fd, temp, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", d.fail("create", temp, err)
	}
	f := os.NewFile(uintptr(fd), Join(d.Path, temp))
	if err = fill(f); err == nil {
		err = d.fail("chown", temp, a.Set(fd))
	}
	if err == nil {
		err = d.fail("write", temp, order(fd))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = d.Unlink(temp)
		return "", err
	}
	return temp, nil
}
