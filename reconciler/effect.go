package reconciler

import (
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
)

// rolledBack finds the steps of runs, given oldest first, whose effect later runs have taken back. A node is what its last step made it; from
// a rollback that leads to what was there before the first step that it took back, and from any other to the step before it.
// What is not on the way has been taken back.
func rolledBack(stories []*journal.Story) map[state.Step]bool {
	type made struct {
		begun journal.Begun
		run   int
	}
	byNode := map[state.NodeAddr][]made{}
	gone := map[state.Step]bool{}
	for _, s := range stories {
		for _, b := range s.Steps {
			if !s.Undone[b.Step] {
				byNode[b.Node] = append(byNode[b.Node], made{b, s.Run.Run})
				gone[state.Step{Run: s.Run.Run, Step: b.Step}] = true
			}
		}
	}
	for _, steps := range byNode {
		for i := len(steps) - 1; i >= 0; i-- {
			m := steps[i]
			delete(gone, state.Step{Run: m.run, Step: m.begun.Step})
			if m.begun.Back == nil {
				continue
			}
			first := m.begun.Back.Steps[len(m.begun.Back.Steps)-1]
			i = slices.IndexFunc(steps, func(o made) bool { return o.run == first.Run && o.begun.Step == first.Step })
		}
	}
	return gone
}
