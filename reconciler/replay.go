package reconciler

import (
	"fmt"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A replay makes the ledger anew from the journals of all runs, in their order: what each step that was done, and not taken back, has
// made of it.
type replay struct {
	ledger *ledger.Ledger
	from   int    // the first run that counts
	lost   string // why it cannot be told; empty: it can
}

func newReplay() *replay { return &replay{ledger: ledger.New(), from: 1} }

// lose says that a run's journal cannot tell what the run did.
func (p *replay) lose(why string) {
	if p.lost == "" {
		p.lost = why
	}
}

// run adds a run. One that began when nothing was owned begins the ledger anew, whatever was before it.
func (p *replay) run(s *journal.Story) {
	switch {
	case s.Run.Before.Run == 0:
		*p = replay{ledger: ledger.New(), from: s.Run.Run}
	case p.lost == "" && s.Run.Before != p.ledger.Head:
		p.lose(fmt.Sprintf("run %d found another ledger than the runs before it had left", s.Run.Run))
	}
	if p.lost != "" {
		return
	}
	changed := false
	for _, b := range s.Steps { // one that builds upon another begins when that is done
		if _, done := s.Done[b.Step]; !done || s.Undone[b.Step] {
			continue
		}
		if err := claim(p.ledger, b, s.Run.Run); err != nil {
			p.lose(fmt.Sprintf("step %d of run %d: %v", b.Step, s.Run.Run, err))
			return
		}
		changed = true
	}
	if changed {
		p.ledger.Stamp(s.Run.Opdbus, s.Run.Host, s.Run.Config, s.Run.Run)
	}
}
