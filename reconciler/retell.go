package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// A PastStep is a node's step in a run that is over, with the snapshots that were taken before and after its changes.
type PastStep struct {
	PastNode
	Deleted   bool // with its subvolume
	Changes   []state.Change
	Pre, Post string
}

// Retell tells what a run changed, by its journal. What is or was sensitive is named in the changes.
func (r *Reconciler) Retell(run int, l *ledger.Ledger) (*PastRun, []PastStep, error) {
	story, err := journal.Read(r.Store.JournalDir(), run)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("there is no run %d; opdbus history lists the runs that there were", run)
	case err != nil:
		return nil, nil, err
	case story == nil:
		return nil, nil, fmt.Errorf("run %d was cut off before it began; it touched nothing", run)
	}
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, nil, err
	}
	all, _, err := r.stories()
	if err != nil {
		return nil, nil, err
	}
	past := pastRun(story, rolledBack(all))
	steps := make([]PastStep, len(story.Steps))
	for i, b := range story.Steps {
		steps[i] = PastStep{PastNode: past.Nodes[i], Deleted: b.Delete, Pre: b.Pre, Post: story.Done[b.Step].Post}
		for _, jc := range b.Changes {
			a, err := state.ParseLocal(b.Node, jc.Object)
			if err != nil {
				return nil, nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
			}
			c := state.Change{Addr: a, Before: r.Kinds.ToShow(a, jc.Before), After: r.Kinds.ToShow(a, jc.After), Forget: jc.Forget, Replace: jc.Replace, Sensitive: secrets[a]}
			if jc.Made != nil {
				c.Made = r.Kinds.ToShow(a, jc.Made.Made)
			}
			if jc.Origin != nil {
				c.MadeAt = jc.Origin.Addr
			}
			steps[i].Changes = append(steps[i].Changes, c)
		}
	}
	return &past, steps, nil
}

// ChangesBetween are the objects whose live values differ between the records of two snapshots, in the order of the second.
func (r *Reconciler) ChangesBetween(before, after snapshot.Record, l *ledger.Ledger) ([]state.Change, error) {
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	was := make(map[state.Addr]json.RawMessage, len(before.Objects))
	for _, o := range before.Objects {
		was[o.Addr] = o.Live
	}
	var changes []state.Change
	compare := func(a state.Addr, from, to json.RawMessage) {
		c := state.Change{Addr: a, Before: r.Kinds.ToShow(a, from), After: r.Kinds.ToShow(a, to), Sensitive: secrets[a]}
		if !state.Same(c.Before, c.After) {
			changes = append(changes, c)
		}
	}
	seen := make(map[state.Addr]bool, len(after.Objects))
	for _, o := range after.Objects {
		seen[o.Addr] = true
		compare(o.Addr, was[o.Addr], o.Live)
	}
	for _, o := range before.Objects {
		if !seen[o.Addr] {
			compare(o.Addr, o.Live, nil)
		}
	}
	return changes, nil
}

// Recorded are the objects of a snapshot's record, as changes from nothing. What is or was sensitive is named in them.
func (r *Reconciler) Recorded(record snapshot.Record, l *ledger.Ledger) ([]state.Change, error) {
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	objects := make([]state.Change, len(record.Objects))
	for i, o := range record.Objects {
		objects[i] = state.Change{Addr: o.Addr, After: r.Kinds.ToShow(o.Addr, o.Live), Sensitive: secrets[o.Addr]}
	}
	return objects, nil
}

// SecretPaths are the paths in a node's tree, and in its snapshots, whose content is or ever was secret.
func (r *Reconciler) SecretPaths(node state.NodeAddr, l *ledger.Ledger) (map[string]bool, error) {
	secrets, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for a := range secrets {
		if k := r.Kinds.For(a); a.Node == node && k != nil && k.InTree {
			paths[a.Key] = true
		}
	}
	return paths, nil
}

// secrets names the attributes that are, or ever were, sensitive, by object: a record does not say it of its own values, and
// what was secret once is not shown because it is public, or gone, by now.
func (r *Reconciler) secrets(l *ledger.Ledger) (map[state.Addr][]string, error) {
	secrets := map[state.Addr][]string{}
	add := func(node state.NodeAddr, object string, names []string) error {
		if len(names) == 0 {
			return nil
		}
		a, err := state.ParseLocal(node, object)
		if err == nil {
			secrets[a] = union(secrets[a], names)
		}
		return err
	}
	for _, node := range l.Addrs() {
		for _, e := range l.Node(node).Objects {
			if err := add(node, e.Object, e.Sensitive); err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
		}
	}
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		story, err := journal.Read(r.Store.JournalDir(), run)
		if err != nil {
			return nil, fmt.Errorf("cannot tell what is secret: %w", err)
		}
		if story == nil {
			continue
		}
		for _, b := range story.Steps {
			for _, c := range b.Changes {
				names := c.Sensitive
				if c.Made != nil {
					names = union(names, c.Made.Sensitive)
				}
				if err := add(b.Node, c.Object, names); err != nil {
					return nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
				}
			}
		}
	}
	return secrets, nil
}
