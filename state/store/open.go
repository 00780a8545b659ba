package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

// A Store is one that Init has made and that is mounted.
type Store struct{ Layout }

// An Error says what is wrong with a store and what to do about it. Where the store is not there at all, or only in part,
// it is fs.ErrNotExist.
type Error struct {
	Path    string
	Problem string // such as "is not on btrfs (ext4)"
	Remedy  string
	Err     error
}

func (e *Error) Error() string { return "store " + e.Path + " " + e.Problem + ": " + e.Remedy }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Open finds the host's store and checks that it can be used: that it is there, on btrfs and wholly made.
func Open(host state.Host) (*Store, error) {
	s, err := Find(host)
	if err != nil {
		return nil, err
	}
	fail := func(problem, remedy string, err error) (*Store, error) {
		return nil, &Error{s.Dir(), problem, remedy, err}
	}
	for _, part := range s.parts() {
		switch _, err := os.Lstat(part.path); {
		case errors.Is(err, fs.ErrPermission):
			return fail("cannot be read", "run as root", err)
		case errors.Is(err, fs.ErrNotExist):
			return fail("is not initialised ("+part.path+" is missing)", "run `opdbus init`", err)
		case err != nil:
			return nil, fmt.Errorf("cannot open store %s: %w", s.Dir(), err)
		}
	}
	return s, nil
}

// Find finds the host's store and checks that it is there and on btrfs; it may be made in part only.
func Find(host state.Host) (*Store, error) {
	l := LayoutOf(host)
	fail := func(problem, remedy string, err error) (*Store, error) {
		return nil, &Error{l.Dir(), problem, remedy, err}
	}
	switch unmounted, err := l.unmounted(); {
	case err != nil:
		return nil, fmt.Errorf("cannot open store %s: %w", l.Dir(), err)
	case unmounted:
		return fail("is not mounted", fmt.Sprintf("it is in the image %s; run `opdbus init`, or `mount -o loop %[1]s %s`", l.Image(), l.Dir()), fs.ErrNotExist)
	}
	if _, err := os.Stat(l.Dir()); errors.Is(err, fs.ErrNotExist) {
		return fail("does not exist", "run `opdbus init`", err)
	}
	fsys, err := filesystemOf(l.Dir())
	if err != nil {
		return nil, err
	}
	if !fsys.btrfs {
		return fail("is not on btrfs ("+fsys.name+")", "run `opdbus init`", fs.ErrNotExist)
	}
	return &Store{l}, nil
}

// Writable says why the store cannot be changed; nil when it can.
func (s *Store) Writable() error {
	if os.Geteuid() != 0 {
		return &Error{s.Dir(), "cannot be changed", "run as root", fs.ErrPermission}
	}
	for _, dir := range []string{s.Staging(), s.Snapshots(), s.State()} {
		err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS)
		if errors.Is(err, unix.EROFS) {
			return &Error{s.Dir(), "is read-only",
				"look into the kernel's log for why, then run `mount -o remount,rw` on the file system that holds it", err}
		}
		if err != nil {
			return fmt.Errorf("cannot change store %s: %s: %w", s.Dir(), dir, err)
		}
	}
	return nil
}

// FreeOutside is how many bytes more the image can grow by that holds the store, on the file system that it is on; without an image
// there is no limit of that sort.
func (s *Store) FreeOutside() (bytes uint64, image string, err error) {
	mounted, err := mountedAt(s.Dir())
	if err != nil || !backs(s.Image(), mounted) {
		return 0, "", err
	}
	outer, err := filesystemOf(s.Image())
	return outer.free, s.Image(), err
}

// ReadKey reads the key of fingerprints.
func (s *Store) ReadKey() ([]byte, error) {
	key, err := os.ReadFile(s.Key())
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of fingerprints: %w", err)
	}
	return key, checkKey(key, s.Key())
}

const keySize = 32

func checkKey(key []byte, path string) error {
	if len(key) != keySize {
		return fmt.Errorf("the key of fingerprints %s has %d bytes instead of %d; put it back from a backup, or delete it and run `opdbus init`, after which every secret reads as changed",
			path, len(key), keySize)
	}
	return nil
}
