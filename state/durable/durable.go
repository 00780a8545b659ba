// Package durable replaces files so that after a power cut there is either what was there before or all of what was
// written. It imports google/renameio and the standard library.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// WriteFile replaces the file at path by one that holds data and has exactly perm, whatever the umask and the file there
// before. When it returns nil, that is on disk.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := replace(path, dir, data, perm); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return SyncDir(dir) // renameio leaves this out, and a power cut may undo the rename without it
}

// replace is renameio.WriteFile, which would keep the mode of the file there before.
func replace(path, dir string, data []byte, perm fs.FileMode) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(perm))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing once the file has been replaced
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
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
