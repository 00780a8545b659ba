package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state"
)

// Take writes the record into the subvolume at nodeDir and makes a read-only snapshot of it in snapshotsDir, named after
// the record's phase, node and time of creation; the time of a record without one is now. When Take returns, both are on
// disk; when it fails there is no snapshot.
func Take(subvols state.Subvolumes, snapshotsDir, nodeDir string, record Record) (Info, error) {
	if record.Created.IsZero() {
		record.Created = time.Now()
	}
	record.Created = record.Created.UTC().Truncate(time.Second)
	name, err := FreeName(snapshotsDir, record.Phase, record.dir(), record.Created)
	if err != nil {
		return Info{}, err
	}
	if err := record.write(nodeDir); err != nil {
		return Info{}, failure(err, "write the record of a snapshot of", nodeDir)
	}
	path := filepath.Join(snapshotsDir, name)
	if err := subvols.Snapshot(nodeDir, path, true); err != nil {
		if !errors.Is(err, fs.ErrExist) { // what is there is somebody else's
			err = errors.Join(err, subvols.Delete(path))
		}
		return Info{}, fmt.Errorf("cannot take the %s snapshot of %s: %w", record.Phase, record.Of(), err)
	}
	record.Version = recordVersion
	return Info{Head: record.Head, Name: name, Path: path}, nil
}

// unfinished is before the name of a snapshot that is being taken of what must not get a record of ours.
const unfinished = ".taking-"

// TakeOf takes a read-only snapshot of the subvolume at dir, which belongs to no node, as Take does. The record is in the snapshot
// alone: dir is not written to. Until it is complete it has a name that List leaves out, and Sweep removes.
func TakeOf(subvols state.Subvolumes, snapshotsDir, dir string, record Record) (info Info, err error) {
	record.Created = record.Created.UTC().Truncate(time.Second)
	name, err := FreeName(snapshotsDir, record.Phase, record.dir(), record.Created)
	if err != nil {
		return Info{}, err
	}
	path, taking := filepath.Join(snapshotsDir, name), filepath.Join(snapshotsDir, unfinished+name)
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot take the %s snapshot of %s: %w", record.Phase, record.Of(), errors.Join(err, subvols.Delete(taking)))
		}
	}()
	if err := errors.Join(subvols.Delete(taking), subvols.Copy(dir, taking)); err != nil {
		return Info{}, err
	}
	if err := record.write(taking); err != nil {
		return Info{}, fmt.Errorf("cannot write its record: %w", err)
	}
	if err := SetReadOnly(taking); err != nil {
		return Info{}, err
	}
	if err := os.Rename(taking, path); err != nil {
		return Info{}, err
	}
	if err := Sync(snapshotsDir); err != nil {
		return Info{}, errors.Join(err, subvols.Delete(path))
	}
	record.Version = recordVersion
	return Info{Head: record.Head, Name: name, Path: path}, nil
}

// Sweep removes the snapshots that TakeOf did not come to finish.
func Sweep(subvols state.Subvolumes, snapshotsDir string) error {
	entries, err := os.ReadDir(snapshotsDir)
	if err != nil {
		return fmt.Errorf("cannot list snapshots: %w", err)
	}
	for _, e := range entries {
		if Unfinished(e.Name()) {
			if err := subvols.Delete(filepath.Join(snapshotsDir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unfinished says of a name in the directory of the snapshots whether it is that of one that was being taken.
func Unfinished(name string) bool { return strings.HasPrefix(name, unfinished) }
