package reconciler

import (
	"context"
	"path/filepath"

	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// checkRoots notes the copies of snapshots that once were the host's root, or were to be, and are not any more. What was written in them
// is in no other place, so that they are nobody's to delete but the user's.
func (f *fsck) checkRoots(context.Context, *store.Store) error {
	entries, err := entriesOf(f.Store.Roots())
	if err != nil || len(entries) == 0 || f.Host.Root != "" || f.going() {
		return err
	}
	booted, err := snapshot.ID("/")
	if err != nil {
		return err
	}
	next, err := snapshot.Default("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(f.Store.Roots(), e.Name())
		if id, err := snapshot.ID(path); err != nil {
			return err
		} else if id != booted && id != next {
			f.add(FsckFinding{Severity: Note, Place: path, What: "was restored as the host's root and is it no longer",
				Remedy: "when nothing of it is needed, `btrfs subvolume delete` it"})
		}
	}
	return nil
}
