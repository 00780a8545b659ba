package hostfs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Changed says when what stands at target last changed, which nobody can set: its inode's change time (inode(7)). Of what is
// missing it says when the directory in which it stood last changed, which is not before it went. Zero: neither is there.
func (f FS) Changed(target string) (time.Time, error) {
	t, err := f.Open()
	if err != nil {
		return time.Time{}, ignoreUnreachable(err)
	}
	defer t.Close()
	var changed unix.Timespec
	err = t.In(target, func(d *Dir, name string) error {
		st, err := d.Lstat(name)
		if err == nil {
			changed = st.Ctim
			return nil
		}
		if !IsMissing(err) {
			return err
		}
		st, err = d.Lstat(".")
		changed = st.Mtim
		return err
	})
	if err != nil || changed == (unix.Timespec{}) {
		return time.Time{}, ignoreUnreachable(err)
	}
	return time.Unix(changed.Unix()), nil
}

// ignoreUnreachable drops the errors that say that a path leads nowhere.
func ignoreUnreachable(err error) error {
	var blocked *BlockedError
	if IsMissing(err) || errors.As(err, &blocked) {
		return nil
	}
	return err
}
