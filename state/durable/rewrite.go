package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Rewrite replaces what is in a regular file, as WriteFile does, and keeps the mode and the owner that the file has. A link is
// refused: what stood there would no longer be one.
func Rewrite(path string, data []byte) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	mode := info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	return Write(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		if f, ok := w.(*os.File); ok && err == nil {
			err = f.Chown(int(owner.Uid), int(owner.Gid))
		}
		return err
	})
}
