package reconciler

import (
	"fmt"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/store"
)

// What a run needs in the store besides the content of files: a floor for btrfs' own trees and, for each object, its place in
// the journal, the ledger and the two snapshots' records. All are measured figures rounded up.
const (
	spaceFloor     = 16 << 20
	spacePerObject = 4 << 10
)

// Room refuses a plan that the store has no room for. It is called before the lock is taken, which writes already.
func (r *Reconciler) Room(plan *state.Plan) error {
	needed := int64(spaceFloor)
	for _, np := range plan.Nodes {
		for _, c := range np.Changes {
			needed += spacePerObject
			if s, ok := c.After.(state.Sized); ok && !state.Same(c.Before, c.After) {
				needed += s.Bytes()
			}
		}
	}
	s, err := store.Open(r.Host)
	if err != nil {
		return err
	}
	free, err := s.Free()
	if err != nil {
		return err
	}
	if free < uint64(needed) {
		return fmt.Errorf("the store %s is full: the plan needs up to %d MiB there and %d MiB are free; make room, such as by deleting old snapshots, or enlarge its file system",
			r.Store.Dir(), needed>>20, free>>20)
	}
	return nil
}
