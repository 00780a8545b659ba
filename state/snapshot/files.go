package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A File is a path in a snapshot and all that is compared of it. Times are not: a tree that is built anew has others.
type File struct {
	Path   string `json:"path"` // from the subvolume's root
	Type   string `json:"type"` // file, directory, symlink, or other
	Mode   string `json:"mode"` // octal, of the permissions
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size,omitempty"`   // of a file, in bytes
	Digest string `json:"digest,omitempty"` // of a file: sha256:…
	Link   string `json:"link,omitempty"`
	// Sensitive says that the digest is a fingerprint and the size left out, because they would tell of a secret.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Masked is the file as it may be shown when its content is secret. key is that of the host's fingerprints.
func (f File) Masked(key []byte) File {
	if f.Type == "file" {
		f.Digest, f.Size, f.Sensitive = state.Mask(key, []byte(f.Digest)).Fingerprint, 0, true
	}
	return f
}

// Files lists what is in the subvolume at root, in the order of the paths, without the directory of the record.
func Files(root string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name == RecordDir {
			return fs.SkipDir
		}
		f, err := fileAt(path)
		f.Path = name
		files = append(files, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the files of %s: %w", root, err)
	}
	return files, nil
}

func fileAt(path string) (f File, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return f, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	f = File{Type: "other", Mode: fmt.Sprintf("%04o", st.Mode&0o7777), UID: st.Uid, GID: st.Gid}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		f.Type = "directory"
	case unix.S_IFLNK:
		f.Type = "symlink"
		f.Link, err = os.Readlink(path)
	case unix.S_IFREG:
		f.Type, f.Size = "file", st.Size
		f.Digest, err = digest(path)
	}
	return f, err
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// A FileDifference is a path that differs between two snapshots; nil is where it is not there.
type FileDifference struct {
	Before, After *File
}

// Path is the path that differs.
func (d FileDifference) Path() string {
	if d.Before != nil {
		return d.Before.Path
	}
	return d.After.Path
}

// Compare finds the paths that differ between two lists of Files, in the order of the paths.
func Compare(before, after []File) []FileDifference {
	var ds []FileDifference
	for len(before) > 0 || len(after) > 0 {
		switch order := comparePaths(before, after); {
		case order < 0:
			ds = append(ds, FileDifference{Before: &before[0]})
			before = before[1:]
		case order > 0:
			ds = append(ds, FileDifference{After: &after[0]})
			after = after[1:]
		default:
			if before[0] != after[0] {
				ds = append(ds, FileDifference{&before[0], &after[0]})
			}
			before, after = before[1:], after[1:]
		}
	}
	return ds
}

// comparePaths says which list has the next path, in the order in which a directory is walked: names compare element by
// element. A list at its end has none.
func comparePaths(before, after []File) int {
	switch {
	case len(before) == 0:
		return 1
	case len(after) == 0:
		return -1
	}
	return strings.Compare(walked(before[0].Path), walked(after[0].Path))
}

// walked makes a path compare as it is walked: a directory's content comes before what is beside it.
func walked(path string) string { return strings.ReplaceAll(path, "/", "\x00") }
