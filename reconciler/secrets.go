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

// A secrecy knows which attributes are, or ever were, sensitive: a record does not say it of its own values, and what was secret once is
// not shown because it is public, or gone, by now. Where a journal cannot be read, it is not known what was secret in that run: of the
// nodes that it may have changed, nothing is shown.
type secrecy struct {
	names map[state.Addr][]string
	lost  []lost
	// calm are, by node, the runs between which nobody changed it.
	calm map[state.NodeAddr][]calm
	// rolledBack are the steps that runs which can be read have rolled back.
	rolledBack map[state.NodeAddr][]state.Step
}

// A lost is a run whose journal cannot be read, or some of which there is none, and what is left of it.
type lost struct {
	first, last int
	left        *journal.Salvage
}

// A calm lies between two runs.
type calm struct{ from, to int }

func (r *Reconciler) secrets(l *ledger.Ledger) (*secrecy, error) {
	s := &secrecy{names: map[state.Addr][]string{}, calm: map[state.NodeAddr][]calm{}, rolledBack: map[state.NodeAddr][]state.Step{}}
	for _, node := range l.Addrs() {
		for _, e := range l.Node(node).Objects {
			if err := s.add(node, e.Object, e.Sensitive); err != nil {
				return nil, fmt.Errorf("cannot read the ledger: %w", err)
			}
		}
	}
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	aside, paths, err := journal.Aside(r.Store.JournalDir())
	if err != nil {
		return nil, err
	}
	before := 0
	for _, run := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(runs, aside)))) {
		s.missing(before+1, run-1)
		if err := s.read(r.Store.JournalDir(), run, paths[run]); err != nil {
			return nil, err
		}
		before = run
	}
	s.missing(before+1, l.Run)
	last := max(before, l.Run)
	for _, node := range l.Addrs() {
		s.calm[node] = append(s.calm[node], calm{l.Node(node).Run, last + 1})
	}
	if len(s.lost) > 0 {
		r.Log.Warn("journals cannot be read: what may have been secret in those runs is not shown; opdbus fsck says more", "first", s.lost[0].first, "last", s.lost[len(s.lost)-1].last)
	}
	return s, nil
}

func (s *secrecy) add(node state.NodeAddr, object string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	a, err := state.ParseLocal(node, object)
	if err == nil {
		s.names[a] = union(s.names[a], names)
	}
	return err
}

// missing notes runs of which there is no journal.
func (s *secrecy) missing(first, last int) {
	if first <= last {
		s.lost = append(s.lost, lost{first, last, &journal.Salvage{Unknown: true}})
	}
}

// read takes a run's journal into account, or what is left of it: in its place, or set aside.
func (s *secrecy) read(dir string, run int, aside []string) error {
	story, err := journal.Read(dir, run)
	if err == nil && story == nil {
		return nil // it touched nothing
	}
	if err == nil {
		return s.tell(story)
	}
	paths := slices.Clone(aside)
	if !errors.Is(err, fs.ErrNotExist) {
		paths = append(paths, journal.Path(dir, run))
	}
	left := &journal.Salvage{Unknown: len(paths) == 0}
	for _, path := range paths {
		of, err := journal.ReadSalvage(path)
		if err != nil {
			left.Unknown = true
			continue
		}
		left.Steps, left.Nodes, left.Unknown = append(left.Steps, of.Steps...), append(left.Nodes, of.Nodes...), left.Unknown || of.Unknown
	}
	s.lost = append(s.lost, lost{run, run, left})
	return s.tell(&left.Story)
}

func (s *secrecy) tell(story *journal.Story) error {
	for _, b := range story.Steps {
		for _, c := range b.Changes {
			names := c.Sensitive
			if c.Made != nil {
				names = union(names, c.Made.Sensitive)
			}
			if err := s.add(b.Node, c.Object, names); err != nil {
				return err
			}
		}
		if story.Run.Run > 0 && b.NodeRun > 0 {
			s.calm[b.Node] = append(s.calm[b.Node], calm{b.NodeRun, story.Run.Run})
		}
		if b.Back != nil {
			s.rolledBack[b.Node] = append(s.rolledBack[b.Node], b.Back.Steps...)
		}
	}
	return nil
}

// hides says whether a node's values may hold something secret that nobody knows of any more. run is that of the record they are in.
func (s *secrecy) hides(node state.NodeAddr, run int) bool {
	for _, l := range s.lost {
		if l.left.Touched(node) && (l.first <= run && run <= l.last || !s.untouched(node, l)) {
			return true
		}
	}
	return false
}

// untouched says that runs did not change a node, by what others tell.
func (s *secrecy) untouched(node state.NodeAddr, l lost) bool {
	between := func(c calm) bool { return 0 < c.from && c.from < l.first && l.last < c.to }
	return slices.ContainsFunc(s.calm[node], between) &&
		!slices.ContainsFunc(s.rolledBack[node], func(t state.Step) bool { return l.first <= t.Run && t.Run <= l.last })
}

// of names what is secret of an object in a record of a run, all of it where that is not known.
func (s *secrecy) of(a state.Addr, run int, values ...state.Object) ([]string, error) {
	names := s.names[a]
	if !s.hides(a.Node, run) {
		return names, nil
	}
	for _, v := range values {
		attrs, err := state.Attributes(v, nil, nil)
		if err != nil {
			return nil, err
		}
		for _, attr := range attrs {
			names = union(names, []string{attr.Name})
		}
	}
	return names, nil
}

// SecretPaths says of the paths in the tree of a node's snapshots whether their content is, ever was, or may have been secret.
func (r *Reconciler) SecretPaths(l *ledger.Ledger, of ...snapshot.Head) (func(path string) bool, error) {
	s, err := r.secrets(l)
	if err != nil {
		return nil, err
	}
	all := false
	paths := map[string]bool{}
	for _, h := range of {
		all = all || s.hides(h.Node, h.Run)
		for a := range s.names {
			if k := r.Kinds.For(a); a.Node == h.Node && k != nil && k.InTree {
				paths[a.Key] = true
			}
		}
	}
	return func(path string) bool { return all || paths[path] }, nil
}
