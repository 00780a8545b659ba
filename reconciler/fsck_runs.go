package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/store"
)

// readRuns reads all journals, from the first run on, and says what is wrong with them.
func (f *fsck) readRuns(context.Context, *store.Store) error {
	dir := f.Store.JournalDir()
	runs, err := journal.Runs(dir)
	if err != nil {
		return err
	}
	setAside, paths, err := journal.Aside(dir)
	if err != nil {
		return err
	}
	f.Checked.Runs = len(runs)
	f.lostRuns = map[int]bool{}
	known := slices.Compact(slices.Sorted(slices.Values(slices.Concat(runs, setAside))))
	if len(known) > 0 {
		f.last = known[len(known)-1]
	}
	if f.owned != nil {
		f.last = max(f.last, f.owned.Run)
	}
	before := 0
	for _, n := range known {
		f.missingRuns(before+1, n-1)
		if _, there := slices.BinarySearch(runs, n); there {
			f.readRun(n)
		} else {
			f.lose(n, fmt.Sprintf("the journal of run %d was set aside", n))
			f.asideRun(n, paths[n][0])
		}
		before = n
	}
	if f.owned != nil {
		f.missingRuns(before+1, f.owned.Run)
	}
	return nil
}

// mostMissing is how many journals may be missing in a row that empty ones are set aside in the place of.
const mostMissing = 1000

// missingRuns says what is lost by the journals that are missing.
func (f *fsck) missingRuns(from, to int) {
	if from > to {
		return
	}
	dir := f.Store.JournalDir()
	x := FsckFinding{Severity: Problem, Place: journal.Path(dir, to), What: "is missing", Lost: noWayBack(to)}
	if from < to {
		x.What += fmt.Sprintf(", and so are all from run %d on", from)
	}
	if to-from < mostMissing {
		x.Repair = "is taken to be lost: an empty journal is set aside in its place"
		x.mend = func(ctx context.Context) error {
			for n := from; n <= to; n++ {
				if err := f.setAside(n)(ctx); err != nil {
					return err
				}
			}
			return nil
		}
	} else {
		x.Remedy = "put the journals back from a backup of the host; if there never were that many runs, it is the ledger, or the last journal's name, that is wrong"
	}
	for n := from; n <= to && n < from+mostMissing; n++ {
		f.lostRuns[n] = true
	}
	f.lose(to, fmt.Sprintf("the journal of run %d is missing", to))
	f.add(x)
}

func noWayBack(run int) string {
	return fmt.Sprintf("nothing can be taken back further than to after run %d", run)
}

// lose notes that it is not known what a run did.
func (f *fsck) lose(run int, why string) {
	f.lostRuns[run] = true
	f.replay.lose(why)
	for dir, t := range f.trees {
		t.is = unknown
		f.trees[dir] = t
	}
}

func (f *fsck) setAside(run int) func(context.Context) error {
	return func(context.Context) error {
		_, err := journal.SetAside(f.Store.JournalDir(), run)
		return err
	}
}

// asideRun notes what is lost by a journal that was set aside.
func (f *fsck) asideRun(run int, path string) {
	lost := noWayBack(run)
	if s, err := journal.ReadSalvage(path); err == nil {
		lost = f.salvaged(s, run)
	}
	f.add(FsckFinding{Severity: Note, Place: path, What: fmt.Sprintf("was the journal of run %d, was damaged or missing, and was set aside", run), Lost: lost})
}

// readRun reads one journal.
func (f *fsck) readRun(run int) {
	path := journal.Path(f.Store.JournalDir(), run)
	story, err := journal.Read(f.Store.JournalDir(), run)
	var damaged *journal.DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // it had not begun, and is gone since
	case errors.As(err, &damaged):
		f.damagedRun(run, damaged.Err.Error())
	case err != nil:
		f.lose(run, fmt.Sprintf("the journal of run %d cannot be read", run))
		f.add(FsckFinding{Severity: Problem, Place: path, What: err.Error(), Lost: noWayBack(run), Remedy: "look into the kernel's log for why; put it back from a backup"})
	case story == nil && f.owned != nil && f.owned.Run == run:
		f.damagedRun(run, "it tells nothing, and the run changed the ledger")
	case story == nil: // it was cut off before it began
	case story.End == nil && run < f.last:
		f.damagedRun(run, "it does not say how the run ended, and later runs began")
	default:
		f.wholeRun(run, story)
	}
}

// damagedRun says what is lost by a journal that is damaged. That of a run which has ended is set aside.
func (f *fsck) damagedRun(run int, why string) {
	f.lose(run, fmt.Sprintf("the journal of run %d is damaged", run))
	path := journal.Path(f.Store.JournalDir(), run)
	x := FsckFinding{Severity: Problem, Place: path, What: "is damaged: " + why, Lost: noWayBack(run)}
	s, err := journal.ReadSalvage(path)
	switch {
	case err != nil:
		x.Remedy = err.Error()
	case run < f.last || s.End != nil:
		x.Lost = f.salvaged(s, run)
		x.Repair, x.mend = "is set aside", f.setAside(run)
	case f.going():
		return
	default:
		x.Lost = fmt.Sprintf("run %d was cut off and cannot be taken back: the host is as it left it, which may be in between; %s", run, begunText(s))
		x.Remedy = "put the journal back from a backup and run `opdbus recover`; or look at the host, and end the run as it is by `opdbus recover --abandon`"
		f.open = &s.Story
		f.open.Run.Run = run
	}
	f.add(x)
}

// salvaged says what is lost by the journal of a run that has ended.
func (f *fsck) salvaged(s *journal.Salvage, run int) string {
	return noWayBack(run) + "; " + begunText(s)
}

// begunText says which nodes a run had begun, as far as its whole lines tell.
func begunText(s *journal.Salvage) string {
	var nodes []string
	for _, b := range s.Steps {
		nodes = append(nodes, fmt.Sprintf("%s (%s)", b.Node, stepOutcome(&s.Story, b.Step)))
	}
	for _, n := range s.Nodes {
		nodes = append(nodes, n.String())
	}
	text := "it tells of no node"
	if len(nodes) > 0 {
		text = "it had begun " + strings.Join(nodes, ", ")
	}
	if s.Unknown {
		text += ", and perhaps others"
	}
	return text
}

// wholeRun takes a run into account.
func (f *fsck) wholeRun(run int, s *journal.Story) {
	path := journal.Path(f.Store.JournalDir(), run)
	f.replay.run(s)
	if s.End == nil {
		f.open = s
		f.openRun(path, s)
	} else if missing := incomplete(s); missing != "" {
		f.add(FsckFinding{Severity: Problem, Place: path, What: "is not whole: " + missing, Lost: "how that ended; it is taken to be still in effect",
			Remedy: fmt.Sprintf("put it back from a backup; or rename it to %d.jsonl.damaged, after which nothing is taken back further than to after that run", run)})
	}
	if s.Torn && s.End != nil {
		f.add(FsckFinding{Severity: Problem, Place: path, What: "has a torn line behind the run's end", Repair: "is cut off there",
			mend: func(context.Context) error { return journal.Mend(f.Store.JournalDir(), run) }})
	}
	for i, b := range s.Steps {
		f.remember(s, b)
		s.Steps[i].Changes, s.Steps[i].Back, s.Steps[i].Was = nil, nil, nil // the journals of many runs take up much room
	}
	f.stories = append(f.stories, s)
}

// remember notes what a step says of its node's subvolume and of snapshots.
func (f *fsck) remember(s *journal.Story, b journal.Begun) {
	done, isDone := s.Done[b.Step]
	dir := b.Node.Dir()
	t, seen := f.trees[dir]
	t.node = b.Node
	switch {
	case s.End == nil:
		t.is = unknown
	case s.Undone[b.Step]:
		if !seen && !b.Existed {
			t.is, t.since = absent, s.Run.Run
		}
	case !isDone:
		t.is = unknown
	case b.Delete:
		t.is, t.since = absent, s.Run.Run
	default:
		t.is, t.since = present, s.Run.Run
	}
	f.trees[dir] = t
	if s.Undone[b.Step] {
		return
	}
	f.named[b.Pre] = true
	if isDone && done.Post != "" {
		f.named[done.Post] = true
	}
	if b.Back != nil && b.Back.Snapshot != "" {
		f.named[b.Back.Snapshot] = true
	}
}

// openRun says what becomes of the last run, which has not ended.
func (f *fsck) openRun(path string, s *journal.Story) {
	x := FsckFinding{Severity: Problem, Place: path}
	switch {
	case f.going():
		x.Severity, x.What = Note, fmt.Sprintf("run %d is going on: %s", s.Run.Run, f.holder)
	case Waiting(s):
		x.Severity, x.What = Note, fmt.Sprintf("run %d waits for its confirmation until %s", s.Run.Run, s.Confirm.By.Local().Format(time.RFC3339))
		x.Remedy = "`opdbus confirm` keeps it"
	default:
		x.What = fmt.Sprintf("run %d has not ended: it was cut off, or could not be taken back wholly", s.Run.Run)
		x.Remedy = "run `opdbus recover`"
	}
	f.add(x)
}

// incomplete says what a run that has ended does not tell.
func incomplete(s *journal.Story) string {
	if s.End.Outcome == journal.Kept {
		return ""
	}
	var open []string
	for _, b := range s.Steps {
		if _, done := s.Done[b.Step]; !done && !s.Undone[b.Step] {
			open = append(open, fmt.Sprintf("step %d, %s", b.Step, b.Node))
		}
	}
	switch {
	case len(open) > 0:
		return "it does not say what became of " + strings.Join(open, " and ")
	case s.End.Outcome == journal.Applied && len(s.Steps) != s.Run.Steps:
		return fmt.Sprintf("the run had %d steps, and it tells of %d", s.Run.Steps, len(s.Steps))
	}
	return ""
}
