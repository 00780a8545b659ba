package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
	name, err := FreeName(snapshotsDir, record.Phase, record.Node.Dir(), record.Created)
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
		return Info{}, fmt.Errorf("cannot take the %s snapshot of %s: %w", record.Phase, record.Node, err)
	}
	record.Version = recordVersion
	return Info{Head: record.Head, Name: name, Path: path}, nil
}
