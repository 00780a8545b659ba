package reconciler

import (
	"fmt"
	"os"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// What a run needs in the store besides the content of files. These are measured figures rounded up: TestRoom holds them against what
// runs really use, and applies a plan that is let through on a file system that is all but full.
const (
	// For each call btrfs sets metadata aside as if every tree that it may touch were rewritten from root to leaf, twice over; for an exchange
	// of subvolumes that is some 450 nodes of a tree. What two such calls need has to be free, or calls fail that use next to nothing.
	reservedNodes = 1024
	// Each node has its subvolume, two snapshots and a tree built beside, each with a root of its own.
	metadataPerNode = 320 << 10
	dataPerNode     = 64 << 10
	// Each object has an inode where it stands and one in the node's tree, with their names, and its part of the journal, the ledger and
	// the two snapshots' records, each of which has its names several times.
	metadataPerObject = 2 << 10
	dataPerObject     = 1536
	timesNamed        = 8
	// inlineSize is what is in the metadata when it is all of a file.
	inlineSize = 2 << 10
	blockSize  = 4 << 10
)

// A room is what a plan needs in the store, in bytes.
type room struct{ data, metadata uint64 }

// roomFor is what a plan needs besides what its calls have set aside.
func (r *Reconciler) roomFor(plan *state.Plan) (need room) {
	need.data += size(r.Store.Ledger()) // it is written anew beside the old one
	for _, np := range plan.Nodes {
		need.metadata += metadataPerNode
		// Both snapshots have records of what the node owns already, too.
		need.data += dataPerNode + 2*size(snapshot.RecordPath(r.Store.NodeDir(np.Addr)))
		for _, c := range np.Changes {
			need.metadata += metadataPerObject
			need.data += dataPerObject + uint64(timesNamed*len(c.Addr.Key))
			if t, ok := aim(c).(state.Thing); ok {
				need.data += uint64(timesNamed * len(t.Thing()))
			}
			need.add(c)
		}
	}
	return need
}

// add counts the content that a change brings.
func (need *room) add(c state.Change) {
	s, ok := c.After.(state.Sized)
	if !ok || state.Same(c.Before, c.After) {
		return
	}
	if size := uint64(max(s.Bytes(), 0)); size <= inlineSize {
		need.metadata += size
	} else {
		need.data += (size + blockSize - 1) / blockSize * blockSize
	}
}

// size is that of a file; 0 when there is none.
func size(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return uint64(info.Size())
}

// A FullError says that the store has no room for a plan.
type FullError struct {
	Store string
	What  string // such as "the plan needs up to 40 MiB for data and 12 MiB are missing"
}

func (e *FullError) Error() string {
	return fmt.Sprintf("the store %s is full: %s; delete snapshots (opdbus snapshots prune, or delete), or enlarge its file system", e.Store, e.What)
}

// Room refuses a plan that the store has no room for, be it for data or for metadata. It is called before the lock is taken, which
// writes already.
func (r *Reconciler) Room(plan *state.Plan) error {
	space, err := snapshot.SpaceOf(r.Store.Dir())
	if err != nil {
		return err
	}
	need := r.roomFor(plan)
	r.Log.Debug("room", "data", need.data, "metadata", need.metadata)
	need.metadata += reservedNodes * space.NodeSize
	data, metadata := space.Short(need.data, need.metadata)
	var short []string
	say := func(what string, need, missing uint64) {
		if missing > 0 {
			short = append(short, fmt.Sprintf("the plan needs up to %s for %s, and %s of that are missing", mebibytes(need), what, mebibytes(missing)))
		}
	}
	if space.Mixed {
		say("data and metadata", need.data+need.metadata, data)
	} else {
		say("data", need.data, data)
		say("metadata", need.metadata, metadata)
	}
	if len(short) > 0 {
		return &FullError{r.Store.Dir(), strings.Join(short, ", and ")}
	}
	return r.roomOutside(space, need)
}

// roomOutside refuses a plan for which an image with the store in it would have to grow beyond the file system that it is on.
func (r *Reconciler) roomOutside(space snapshot.Space, need room) error {
	s, err := store.Open(r.Host)
	if err != nil {
		return err
	}
	free, image, err := s.FreeOutside()
	if err != nil || image == "" {
		return err
	}
	grows := need.data*uint64(space.Data.Copies) + need.metadata*uint64(space.Metadata.Copies)
	if grows <= free {
		return nil
	}
	return &FullError{r.Store.Dir(), fmt.Sprintf("the plan needs up to %s in its image %s, and the file system of that has %s free", mebibytes(grows), image, mebibytes(free))}
}

// mebibytes is a size for people, rounded up.
func mebibytes(bytes uint64) string { return fmt.Sprintf("%d MiB", (bytes+1<<20-1)>>20) }
