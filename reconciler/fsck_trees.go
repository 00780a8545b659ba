package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// checkTrees compares the nodes' subvolumes with the ledger and the journals.
func (f *fsck) checkTrees(context.Context, *store.Store) error {
	owned := map[string]bool{}
	if f.owned != nil {
		for _, node := range f.owned.Addrs() {
			owned[node.Dir()] = true
			if err := f.checkTree(node); err != nil {
				return err
			}
		}
	}
	entries, err := entriesOf(f.Store.Staging())
	for _, e := range entries {
		path := filepath.Join(f.Store.Staging(), e.Name())
		if path == f.Store.Snapshots() || owned[e.Name()] {
			continue
		}
		is, err := snapshot.IsSubvolume(path)
		if err != nil {
			return err
		}
		t, known := f.trees[e.Name()]
		switch hidden, beside := strings.CutSuffix(e.Name(), ".beside"); {
		case is && beside && strings.HasPrefix(hidden, "."):
			f.leftover(path, "is what a run built, or had replaced, and did not come to delete", f.deleteSubvolume(path))
		case is && known && t.is == absent && f.owned != nil:
			f.leftover(path, fmt.Sprintf("is the tree of %s, which is gone since run %d", t.node, t.since), f.deleteSubvolume(path))
		case known && t.is != absent: // given up, or left by a run that was kept
		default:
			f.unknown(path)
		}
	}
	return err
}

// checkTree checks that a node of the ledger has its subvolume, if some of it is in there.
func (f *fsck) checkTree(node state.NodeAddr) error {
	inside := 0
	for _, e := range f.owned.Node(node).Objects {
		if a, err := state.ParseLocal(node, e.Object); err != nil {
			return err
		} else if k := f.Kinds.For(a); k != nil && k.InTree {
			inside++
		}
	}
	path := f.Store.NodeDir(node)
	if inside == 0 || f.going() {
		return nil
	}
	is, err := snapshot.IsSubvolume(path)
	x := FsckFinding{Severity: Problem, Place: path, Lost: fmt.Sprintf("what %s deployed, %d of its objects", node, inside),
		Remedy: "`opdbus apply` deploys it again"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.What = "is missing, and the ledger owns what is in it"
	case err != nil:
		return err
	case is:
		return nil
	default:
		x.What, x.Lost = "is no subvolume, so that no snapshot can be taken of it", ""
		x.Remedy = "move it away; `opdbus apply` deploys it again"
	}
	if f.open != nil {
		x.Remedy = "run `opdbus recover`; what is missing after it, " + x.Remedy
	}
	f.add(x)
	return nil
}

func (f *fsck) deleteSubvolume(path string) func(context.Context) error {
	return func(context.Context) error {
		return errors.Join(f.Host.Subvolumes.Delete(path), snapshot.Sync(f.Store.Dir()))
	}
}

// unknown notes something that opdbus did not put there. It is never removed.
func (f *fsck) unknown(path string) {
	if !f.going() {
		f.add(FsckFinding{Severity: Note, Place: path, What: "is nothing that opdbus knows; it is left alone"})
	}
}

// checkSnapshots compares the snapshots with the journals.
func (f *fsck) checkSnapshots(context.Context, *store.Store) error {
	entries, err := entriesOf(f.Store.Snapshots())
	if err != nil {
		return err
	}
	deleting, err := f.deleting()
	if err != nil {
		deleting = nil // checkFiles says so
	}
	there := map[string]bool{}
	for _, e := range entries {
		path := filepath.Join(f.Store.Snapshots(), e.Name())
		if slices.Contains(deleting, e.Name()) {
			continue
		}
		is, err := snapshot.IsSubvolume(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !is {
			f.unknown(path)
			continue
		}
		if snapshot.Unfinished(e.Name()) {
			f.leftover(path, "is a snapshot of a subvolume that a run did not come to finish", f.deleteSubvolume(path))
			continue
		}
		there[e.Name()] = true
		f.Checked.Snapshots++
		if err := f.checkSnapshot(path, e.Name()); err != nil {
			return err
		}
	}
	if f.going() {
		return nil
	}
	return f.missingSnapshots(there)
}

func (f *fsck) checkSnapshot(path, name string) error {
	readOnly, err := snapshot.IsReadOnly(path)
	if err != nil {
		return err
	}
	if !readOnly {
		f.add(FsckFinding{Severity: Problem, Place: path, What: "can be written to", Lost: "whoever has done so has changed what is gone back to",
			Repair: "is made read-only", mend: func(context.Context) error { return snapshot.SetReadOnly(path) }})
	}
	record, err := snapshot.ReadRecord(snapshot.RecordPath(path))
	if err != nil {
		x := FsckFinding{Severity: Problem, Place: path, What: err.Error(), Lost: "restore cannot go back to it, and it cannot be shown"}
		if f.named[name] {
			x.Remedy = "rollback and undo still can; when they are not to any more, `opdbus snapshots delete` it"
		} else {
			x.Remedy = "`opdbus snapshots delete` it"
		}
		f.add(x)
		return nil
	}
	switch {
	case f.named[name] || f.lostRuns[record.Run] || f.open != nil && record.Run == f.open.Run.Run:
	case record.Run > f.last:
		f.add(FsckFinding{Severity: Problem, Place: path, What: fmt.Sprintf("is of run %d, of which there is no journal", record.Run), Lost: "it cannot be gone back to",
			Remedy: "put the journal back from a backup, or `opdbus snapshots delete` it"})
	default:
		f.orphan(path, record.Head)
	}
	return nil
}

// orphan looks at a snapshot that its run does not name.
func (f *fsck) orphan(path string, head snapshot.Head) {
	for _, s := range f.stories {
		if s.Run.Run != head.Run {
			continue
		}
		if head.Subvolume != "" {
			if s.End != nil && s.End.Outcome == journal.TakenBack {
				f.leftover(path, fmt.Sprintf("is of run %d, which was taken back", head.Run), f.deleteSubvolume(path))
			}
			return
		}
		for _, b := range s.Steps {
			if b.Step != head.Step {
				continue
			}
			if s.Undone[b.Step] {
				f.leftover(path, fmt.Sprintf("is of step %d of run %d, which was taken back", head.Step, head.Run), f.deleteSubvolume(path))
			}
			return // one that was kept did not come to name it
		}
	}
	f.add(FsckFinding{Severity: Note, Place: path, What: fmt.Sprintf("says that it is of step %d of run %d, and the run's journal does not know it", head.Step, head.Run),
		Remedy: "`opdbus snapshots delete` it"})
}

// missingSnapshots says what cannot be taken back because a snapshot is gone. Pruning deletes both of a step, and none that rolling back
// its node goes back to.
func (f *fsck) missingSnapshots(there map[string]bool) error {
	needed := map[state.Step]string{}
	if infos, err := f.Reconciler.Snapshots(); err == nil {
		if n, err := f.needs(infos); err == nil {
			needed = n.steps
		}
	}
	for _, s := range f.ended() {
		for _, b := range s.Steps {
			done, ok := s.Done[b.Step]
			if !ok || s.Undone[b.Step] {
				continue
			}
			pre, post := there[b.Pre], done.Post == "" || there[done.Post]
			why := needed[state.Step{Run: s.Run.Run, Step: b.Step}]
			switch {
			case !pre && (done.Post != "" && post || why != ""):
				x := FsckFinding{Severity: Problem, Place: filepath.Join(f.Store.Snapshots(), b.Pre), What: "is missing",
					Lost: fmt.Sprintf("run %d cannot be taken back for %s", s.Run.Run, b.Node)}
				if why != "" {
					x.What += ", and " + why
				}
				x.Remedy = "it need not be lost when it was deleted by force; it counts no longer once the node has changed again and older snapshots are pruned"
				f.add(x)
			case pre && !post:
				f.add(FsckFinding{Severity: Problem, Place: filepath.Join(f.Store.Snapshots(), done.Post), What: "is missing",
					Lost:   fmt.Sprintf("restore cannot go back to after run %d by it", s.Run.Run),
					Remedy: fmt.Sprintf("nothing else needs it; its pair %s goes when it is pruned, or by `opdbus snapshots delete`", b.Pre)})
			}
		}
	}
	return nil
}

// entriesOf lists a directory; one that is missing, or none, is empty: layout says so.
func entriesOf(dir string) ([]fs.DirEntry, error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look through the store: %w", err)
	}
	return entries, nil
}
