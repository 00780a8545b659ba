package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/durable"
)

// A Fault is something about the store that is not as Init made it.
type Fault struct {
	Path    string
	Problem string // such as "is missing"
	Remedy  string
	Mend    func() error // puts it right without losing anything; nil: it takes a person, or Init
}

// parts are what Init makes in the store.
func (l Layout) parts() []directory {
	return append(l.directories(), directory{l.Key(), 0o600})
}

// Faults lists what is not as Init made it: what is missing, something else, or open to others than root.
func (s *Store) Faults() ([]Fault, error) {
	var faults []Fault
	for _, part := range s.parts() {
		info, err := os.Lstat(part.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, Fault{Path: part.path, Problem: "is missing", Remedy: "run `opdbus init`"})
		case err != nil:
			return nil, fmt.Errorf("cannot look at the store: %w", err)
		case info.IsDir() != (part.path != s.Key()):
			faults = append(faults, Fault{Path: part.path, Problem: "is a " + typeOf(info), Remedy: "move it away, and run `opdbus init`"})
		default:
			if st, ok := mode(part.path); ok && (st.Mode&0o7777&^uint32(part.mode) != 0 || st.Uid != 0) {
				faults = append(faults, Fault{
					Path: part.path, Mend: func() error { return restrict(part) },
					Problem: fmt.Sprintf("is of user %d with mode %04o, so that others than root may read or change it", st.Uid, st.Mode&0o7777),
					Remedy:  fmt.Sprintf("run `chown root %s` and `chmod %04o` on it", part.path, part.mode),
				})
			}
		}
	}
	if key, err := os.ReadFile(s.Key()); err == nil && len(key) != keySize {
		faults = append(faults, Fault{Path: s.Key(), Problem: fmt.Sprintf("has %d bytes instead of %d", len(key), keySize),
			Remedy: "put it back from a backup, or delete it and run `opdbus init`"})
	}
	return faults, nil
}

func typeOf(info fs.FileInfo) string {
	switch {
	case info.IsDir():
		return "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		return "link"
	}
	return "file"
}

func mode(path string) (st unix.Stat_t, ok bool) {
	err := unix.Lstat(path, &st)
	return st, err == nil
}

// restrict gives what is open to others back to root.
func restrict(part directory) error {
	if err := os.Lchown(part.path, 0, -1); err != nil {
		return err
	}
	if err := os.Chmod(part.path, part.mode); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(part.path))
}
