package reconciler

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// needs are the snapshots that something still needs, and why.
type needs struct {
	runs  map[int]string        // every snapshot of these: nobody knows which will do
	names map[string]string     // those that a run without an end names, of whichever run
	steps map[state.Step]string // both of these: rolling back a node goes back to the one before
}

// byRun says why a run needs a snapshot; empty when none does.
func (n *needs) byRun(i snapshot.Info) string {
	if why := n.names[i.Name]; why != "" {
		return why
	}
	if i.Problem == "" {
		return n.runs[i.Run]
	}
	return ""
}

// why says why a snapshot is needed at all.
func (n *needs) why(i snapshot.Info) string {
	if why := n.byRun(i); why != "" || i.Problem != "" {
		return why
	}
	return n.steps[state.Step{Run: i.Run, Step: i.Step}]
}

// needs finds what is needed by the journals of the runs that have snapshots, and of all that came after.
func (r *Reconciler) needs(infos []snapshot.Info) (*needs, error) {
	n := &needs{runs: map[int]string{}, names: map[string]string{}, steps: map[state.Step]string{}}
	oldest := slices.IndexFunc(infos, func(i snapshot.Info) bool { return i.Problem == "" })
	if oldest < 0 {
		return n, nil
	}
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	var steps []pastStep
	for _, run := range slices.Backward(runs) {
		if run < infos[oldest].Run {
			break
		}
		of, err := n.read(r, run)
		if err != nil {
			return nil, err
		}
		steps = append(steps, of...)
	}
	owned, err := ledger.Load(r.Store.Ledger())
	if err != nil {
		return nil, err
	}
	n.byRollbacks(&back{Reconciler: r, owned: owned}, steps)
	return n, nil
}

// read notes what a run without an end needs, which may still be taken back, and gives the steps in effect of a run, last first.
func (n *needs) read(r *Reconciler, run int) ([]pastStep, error) {
	story, err := journal.Read(r.Store.JournalDir(), run)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && story == nil:
		return nil, nil
	case err != nil:
		// What it did is not known, so that whatever was before it may be what rolling back needs: its steps hide none.
		n.runs[run] = fmt.Sprintf("is of run %d, whose journal cannot be read: %v", run, err)
		return nil, nil
	}
	if story.End == nil {
		why := fmt.Sprintf("is needed by run %d, which has not ended", run)
		n.runs[run] = why
		for _, b := range story.Steps {
			n.names[b.Pre] = why
			if post := story.Done[b.Step].Post; post != "" {
				n.names[post] = why
			}
			if b.Back != nil && b.Back.Snapshot != "" {
				n.names[b.Back.Snapshot] = why
			}
		}
	}
	steps := inEffect(story)
	// The journals of many runs take up much room, and nothing else in them is looked at.
	story.Steps = nil
	for i := range steps {
		var moved []journal.Change
		for _, c := range steps[i].begun.Changes {
			if c.Origin != nil {
				moved = append(moved, c)
			}
		}
		steps[i].begun.Changes = moved
	}
	return steps, nil
}

// byRollbacks notes what rolling back each node goes back to: by the last run that changed it, with what can only go back with it.
func (n *needs) byRollbacks(b *back, steps []pastStep) {
	asked := map[state.NodeAddr]bool{}
	for at, s := range steps {
		for _, node := range s.nodes() {
			if asked[node] {
				continue
			}
			asked[node] = true
			first := at // of the steps by which that run changed the node
			for i := at; i < len(steps) && steps[i].Run == s.Run; i++ {
				if steps[i].changed(node) {
					first = i
				}
			}
			n.byRollback(b, node, steps[:first+1])
		}
	}
}

// byRollback notes what rolling back a node goes back to. since are the steps that came after, last first, and the one by which it goes.
func (n *needs) byRollback(b *back, node state.NodeAddr, since []pastStep) {
	from := map[state.NodeAddr]state.Step{node: since[len(since)-1].Step}
	b.together(from, since)
	found := map[state.NodeAddr]bool{}
	for _, s := range slices.Backward(since) {
		at, in := from[s.begun.Node]
		if !in || found[s.begun.Node] || s.Compare(at) < 0 {
			continue
		}
		found[s.begun.Node] = true
		if n.steps[s.Step] == "" || s.begun.Node == node {
			n.steps[s.Step] = "is what opdbus rollback " + node.String() + " goes back to"
		}
	}
}

// nodes are those that a step changed: its own, and those from which it took something over, or gave it back to.
func (s pastStep) nodes() []state.NodeAddr {
	nodes := []state.NodeAddr{s.begun.Node}
	for _, c := range s.begun.Changes {
		if c.Origin != nil {
			nodes = append(nodes, c.Origin.Addr.Node)
		}
		if c.HandsTo != nil {
			nodes = append(nodes, c.HandsTo.Node)
		}
	}
	return nodes
}
