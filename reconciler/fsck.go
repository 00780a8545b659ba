package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/store"
)

// How much a finding matters.
const (
	Problem  = "problem"  // something is lost or in the way
	Leftover = "leftover" // something is there that nothing needs
	Note     = "note"     // something to know
)

// An FsckFinding is something in the store that is not as opdbus leaves it.
type FsckFinding struct {
	Severity string `json:"severity"`
	Place    string `json:"place"` // in the store
	What     string `json:"what"`
	Lost     string `json:"lost,omitempty"`   // by it
	Remedy   string `json:"remedy,omitempty"` // that takes a person
	Repair   string `json:"repair,omitempty"` // what repairing does about it; empty: nothing
	Repaired bool   `json:"repaired,omitempty"`
	Error    string `json:"error,omitempty"` // why it could not be repaired

	mend func(context.Context) error
}

// A Fsck is what looking through the store has found.
type Fsck struct {
	Findings []FsckFinding `json:"findings"`
	Checked  struct {
		Runs      int `json:"runs"` // that have a journal
		Nodes     int `json:"nodes"`
		Snapshots int `json:"snapshots"`
	} `json:"checked"`
}

// Count counts the findings of a severity that remain.
func (f *Fsck) Count(severity string) (n int) {
	for _, x := range f.Findings {
		if x.Severity == severity && !x.Repaired {
			n++
		}
	}
	return n
}

// Fsck looks through the store and changes nothing. Without the lock, what a run does meanwhile is not found to be wrong, as far as that
// can be told.
func (r *Reconciler) Fsck(ctx context.Context) (*Fsck, error) {
	s, err := store.Find(r.Host)
	if err != nil {
		return nil, err
	}
	for again := 0; ; again++ {
		before := r.stamp()
		found, err := r.lookThrough(ctx, s)
		if again == lookAgain || r.stamp() == before {
			return found, err
		}
	}
}

// lookAgain is how often the store is looked through again when a run began or ended meanwhile.
const lookAgain = 3

// stamp changes when a run begins, does something, or ends.
func (r *Reconciler) stamp() string {
	holder, _, _ := ledger.HolderOf(r.Store.Lock()) // what cannot be read is the same each time
	runs, _ := journal.Runs(r.Store.JournalDir())
	stamp := fmt.Sprint(holder)
	paths := []string{r.Store.Ledger(), r.Store.Pruning()}
	if len(runs) > 0 {
		paths = append(paths, journal.Path(r.Store.JournalDir(), runs[len(runs)-1]))
	}
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil {
			stamp += fmt.Sprint(path, info.Size(), info.ModTime())
		}
	}
	return stamp
}

func (r *Reconciler) lookThrough(ctx context.Context, s *store.Store) (*Fsck, error) {
	f := &fsck{Fsck: Fsck{Findings: []FsckFinding{}}, Reconciler: r, replay: newReplay(), trees: map[string]tree{}, named: map[string]bool{}}
	if holder, held, err := ledger.HolderOf(r.Store.Lock()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	} else if held && holder.Alive() {
		f.holder = holder
	}
	for _, look := range []func(context.Context, *store.Store) error{f.layout, f.readLedger, f.readRuns, f.checkLedger, f.checkTrees, f.checkSnapshots, f.checkRoots, f.checkFiles} {
		if err := errors.Join(ctx.Err(), look(ctx, s)); err != nil {
			return nil, err
		}
	}
	return &f.Fsck, nil
}

// repairRounds is how often the store is looked through again, since what is mended may show what it hid.
const repairRounds = 4

// Repair mends what loses nothing, or only what was lost already, and says what it found and mended. Its caller holds the lock. Each thing
// is mended in one step, or in steps of which the last one makes it count, so that whoever is cut off begins anew.
func (r *Reconciler) Repair(ctx context.Context) (*Fsck, error) {
	s, err := store.Find(r.Host)
	if err != nil {
		return nil, err
	}
	return r.repair(ctx, s)
}

func (r *Reconciler) repair(ctx context.Context, s *store.Store) (*Fsck, error) {
	var repaired []FsckFinding
	tried := map[string]bool{}
	for range repairRounds {
		found, err := r.lookThrough(ctx, s)
		if err != nil {
			return nil, err
		}
		again := false
		for i := range found.Findings {
			x := &found.Findings[i]
			if id := x.Place + ": " + x.What; x.mend == nil || tried[id] {
				continue
			} else {
				tried[id] = true
			}
			if err := x.mend(ctx); err != nil {
				x.Error = err.Error()
				continue
			}
			x.Repaired, again = true, true
			repaired = append(repaired, *x)
		}
		if !again {
			found.Findings = append(repaired, found.Findings...)
			return found, nil
		}
	}
	found, err := r.lookThrough(ctx, s)
	if err != nil {
		return nil, err
	}
	found.Findings = append(repaired, found.Findings...)
	return found, nil
}

// An fsck looks through the store.
type fsck struct {
	*Reconciler
	Fsck
	holder   ledger.Holder  // of the lock, when it lives
	owned    *ledger.Ledger // nil: it cannot be read
	ledgerIs string         // what is wrong with it
	newer    bool           // it is of a later opdbus
	replay   *replay
	stories  []*journal.Story // of the journals that are whole, without their changes
	lostRuns map[int]bool     // whose journals are not
	last     int              // the last run's number
	open     *journal.Story   // the last run, when it has not ended
	trees    map[string]tree  // by the names of their directories
	named    map[string]bool  // the snapshots that steps name which were not taken back
}

// A tree is what the journals tell of a node's subvolume.
type tree struct {
	node  state.NodeAddr
	is    int // absent, present or unknown
	since int // the run
}

const (
	unknown = iota
	present
	absent
)

func (f *fsck) add(x FsckFinding) {
	if rel, err := filepath.Rel(f.Store.Dir(), x.Place); err == nil {
		x.Place = rel
	}
	f.Findings = append(f.Findings, x)
}

// leftover adds something that nothing needs. While a run goes on, or is to be recovered, it may be that run's.
func (f *fsck) leftover(path, what string, mend func(context.Context) error) {
	x := FsckFinding{Severity: Leftover, Place: path, What: what, Repair: "is deleted", mend: mend}
	switch {
	case f.going():
		return
	case f.open != nil:
		x.Repair, x.mend = "", nil
		x.Remedy = fmt.Sprintf("run %d may need it; run `opdbus recover` first", f.open.Run.Run)
	}
	f.add(x)
}

// going says whether somebody else is changing the store.
func (f *fsck) going() bool { return f.holder.PID != 0 && f.holder.PID != os.Getpid() }

// layout checks that the store is as it was made.
func (f *fsck) layout(_ context.Context, s *store.Store) error {
	faults, err := s.Faults()
	for _, fault := range faults {
		x := FsckFinding{Severity: Problem, Place: fault.Path, What: fault.Problem, Remedy: fault.Remedy}
		if fault.Path == s.Key() && fault.Mend == nil {
			x.Lost = "saved plans cannot be opened any more, and secrets in plans read as changed"
		}
		if fault.Mend != nil {
			x.Repair, x.Remedy = "is made root's only", ""
			x.mend = func(context.Context) error { return fault.Mend() }
		}
		f.add(x)
	}
	return err
}

// ended lists the stories of the runs that have ended.
func (f *fsck) ended() []*journal.Story {
	return slices.DeleteFunc(slices.Clone(f.stories), func(s *journal.Story) bool { return s == f.open })
}
