package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opdbus/opdbus/state/snapshot"
)

// Snapshots lists the snapshots that there are, in order: not those that are being deleted. One whose record cannot be read is
// among them, with its problem.
func (r *Reconciler) Snapshots() ([]snapshot.Info, error) {
	before, err := r.deleting()
	if err != nil {
		return nil, err
	}
	infos, err := snapshot.List(r.Store.Snapshots())
	if err != nil {
		return nil, err
	}
	// A pruning that began in between may have deleted some of those that were listed.
	after, err := r.deleting()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(infos, func(i snapshot.Info) bool {
		return slices.Contains(before, i.Name) || slices.Contains(after, i.Name)
	}), nil
}

// deleting names the snapshots that are being deleted.
func (r *Reconciler) deleting() ([]string, error) {
	data, err := os.ReadFile(r.Store.Pruning())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell which snapshots are being deleted: %w", err)
	}
	return r.decodePruning(data)
}

const pruningVersion = 1

type pruningFile struct {
	Version   int      `json:"version"`
	Snapshots []string `json:"snapshots"`
}

// DecodePruning reads the names of the snapshots that are being deleted from their file's bytes.
func DecodePruning(data []byte) ([]string, error) {
	var f pruningFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Version != pruningVersion {
		return nil, fmt.Errorf("its format is version %d, and this opdbus knows version %d only", f.Version, pruningVersion)
	}
	for _, name := range f.Snapshots {
		// What is deleted by these names lies in the directory of the snapshots, whatever has become of the file.
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			return nil, fmt.Errorf("%q is not the name of a snapshot", name)
		}
	}
	return f.Snapshots, nil
}

func (r *Reconciler) decodePruning(data []byte) ([]string, error) {
	names, err := DecodePruning(data)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which snapshots are being deleted: %s: %w; remove the file, after which those that are still there are listed again",
			r.Store.Pruning(), err)
	}
	return names, nil
}
