package reconciler

import (
	"slices"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
)

// CutOff is the outcome of a run without an end in its journal: it was cut off, or it is still going on. One that had begun to
// be taken back is broken, and one of which all is done may wait for its confirmation.
const (
	CutOff          = "cut off"
	WaitsForConfirm = "waits for its confirmation"
)

// A PastRun is a run as its journal tells of it.
type PastRun struct {
	Run       int        `json:"run"`
	Started   time.Time  `json:"started"`
	Ended     *time.Time `json:"ended,omitempty"`
	Command   string     `json:"command"`
	Opdbus    string     `json:"opdbus"`
	Outcome   string     `json:"outcome"` // journal.Applied, TakenBack, Kept or Broken, or CutOff
	Error     string     `json:"error,omitempty"`
	OnFailure string     `json:"on_failure"`
	Digest    string     `json:"digest"` // of the plan
	Commit    string     `json:"commit,omitempty"`
	Rollback  string     `json:"rollback,omitempty"`  // what it went back to
	Subvolume string     `json:"subvolume,omitempty"` // what it restored, when that belongs to no node
	Planned   int        `json:"planned"`             // nodes in the plan
	Nodes     []PastNode `json:"nodes"`               // those that it had begun to change
}

// A PastNode is what became of a node in a run: "done", "taken back", "not complete", or
// "rolled back" by a later run.
type PastNode struct {
	Node    state.NodeAddr `json:"address"`
	Outcome string         `json:"outcome"`
	Changes int            `json:"changes"`
}

// RolledBack says how many of the run's nodes later runs have rolled back.
func (p PastRun) RolledBack() int {
	n := 0
	for _, node := range p.Nodes {
		if node.Outcome == stepRolledBack {
			n++
		}
	}
	return n
}

// The outcomes of a node's step.
const (
	stepDone        = "done"
	stepTakenBack   = journal.TakenBack
	stepNotComplete = "not complete"
	stepRolledBack  = "rolled back" // by a later run, whatever it was before
)

// An Unreadable run has a journal that cannot be read.
type Unreadable struct {
	Run int
	Err error
}

// History tells of the runs, newest first, and of those whose journal cannot be read.
func (r *Reconciler) History() ([]PastRun, []Unreadable, error) {
	stories, unreadable, err := r.stories()
	if err != nil {
		return nil, nil, err
	}
	gone := rolledBack(stories)
	var past []PastRun
	for _, s := range slices.Backward(stories) {
		past = append(past, pastRun(s, gone))
	}
	slices.Reverse(unreadable)
	return past, unreadable, nil
}

// stories reads all journals, oldest first.
func (r *Reconciler) stories() ([]*journal.Story, []Unreadable, error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return nil, nil, err
	}
	var stories []*journal.Story
	var unreadable []Unreadable
	for _, n := range runs {
		story, err := journal.Read(r.Store.JournalDir(), n)
		switch {
		case err != nil:
			unreadable = append(unreadable, Unreadable{n, err})
		case story != nil: // a run without one whole record touched nothing
			stories = append(stories, story)
		}
	}
	return stories, unreadable, nil
}

func pastRun(s *journal.Story, gone map[state.Step]bool) PastRun {
	p := PastRun{
		Run: s.Run.Run, Started: s.Run.Started, Command: s.Run.Command, Opdbus: s.Run.Opdbus, Outcome: CutOff,
		OnFailure: s.Run.OnFailure, Digest: s.Run.Digest, Commit: s.Run.Commit, Rollback: s.Run.Rollback, Planned: s.Run.Steps, Nodes: []PastNode{},
	}
	if s.Run.Subvolume != nil {
		p.Subvolume = s.Run.Subvolume.Path
	}
	switch {
	case s.End == nil && len(s.Undone) > 0:
		p.Outcome = journal.Broken
	case s.End == nil && Waiting(s):
		p.Outcome = WaitsForConfirm
	case s.End != nil:
		p.Outcome, p.Error, p.Ended = s.End.Outcome, s.End.Error, &s.End.Ended
	}
	for _, b := range s.Steps {
		outcome := stepOutcome(s, b.Step)
		if gone[state.Step{Run: p.Run, Step: b.Step}] {
			outcome = stepRolledBack
		}
		p.Nodes = append(p.Nodes, PastNode{b.Node, outcome, len(b.Changes)})
	}
	return p
}

func stepOutcome(s *journal.Story, step int) string {
	if s.Undone[step] {
		return stepTakenBack
	}
	if _, done := s.Done[step]; done {
		return stepDone
	}
	return stepNotComplete
}
