// Package durable replaces files so that after a power cut there is either what was there before or all of what was
// written. It imports the standard library only.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path by one that holds data and has exactly perm, whatever the umask and the file there
// before. When it returns nil, that is on disk. What a cut leaves behind has a fixed name beside the file, .NAME.new, and the
// next write to the same file takes it away.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return Write(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for what is not in memory: write writes it. When that fails, the file is as it was.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := replace(path, perm, write); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

func replace(path string, perm fs.FileMode, write func(io.Writer) error) (err error) {
	temp := tempPath(path)
	if err := clearTemp(temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm.Perm())
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// Clear takes away what a cut has left of a write to the file at path, for those who do not write it again.
func Clear(path string) error {
	if err := clearTemp(tempPath(path)); err != nil {
		return fmt.Errorf("cannot clear away what is left of writing %s: %w", path, err)
	}
	return nil
}

// Left says whether a cut has left something of a write to the file at path.
func Left(path string) bool {
	_, err := os.Lstat(tempPath(path))
	return err == nil
}

func tempPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

func clearTemp(temp string) error {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir brings to disk what was made, renamed and removed in the directory dir.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot sync directory %s: %w", dir, err)
	}
	return nil
}
