package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/store"
)

// lock looks at who has it.
func (d *doctor) lock(context.Context, *store.Store) error {
	holder, held, err := ledger.HolderOf(d.Store.Lock())
	switch {
	case err != nil:
		d.cannot("lock", err)
	case !held:
		d.add(Healthy, "lock", "nobody has it", "")
	case holder.Alive():
		d.add(Healthy, "lock", "is held by "+holder.String(), "")
	default:
		d.add(Warning, "lock", "was left behind by "+holder.String()+", which is gone", "whoever needs it next takes it over")
	}
	return nil
}

// runs looks at the last run, at what is held, and at what the ledger says of itself.
func (d *doctor) runs(context.Context, *store.Store) error {
	d.lastEnded()
	switch held, err := d.Held(); {
	case err != nil:
		d.add(Wrong, "held plans", err.Error(), "run `opdbus release`")
	case len(held) > 0:
		d.add(Warning, "held plans", fmt.Sprintf("%d: unattended applies of them are refused; the last is that of %s", len(held), held[len(held)-1]), "change the configuration, or run `opdbus release`")
	default:
		d.add(Healthy, "held plans", "none", "")
	}
	d.ledgerOf()
	d.clock()
	return nil
}

// lastEnded looks whether a run was cut off or waits.
func (d *doctor) lastEnded() {
	story, err := d.CutOff()
	var damaged *journal.DamagedError
	holder, held, _ := ledger.HolderOf(d.Store.Lock()) // lock says why it cannot be told
	switch {
	case errors.As(err, &damaged):
		d.add(Wrong, "last run", damaged.Error(), "run `opdbus fsck`")
	case err != nil:
		d.cannot("last run", err)
	case story == nil:
		d.add(Healthy, "last run", "has ended", "")
	case held && holder.Alive():
		d.add(Healthy, "last run", fmt.Sprintf("run %d is going on", story.Run.Run), "")
	case Waiting(story):
		d.add(Warning, "last run", fmt.Sprintf("run %d waits for its confirmation until %s", story.Run.Run, story.Confirm.By.Local().Format(time.RFC3339)),
			"run `opdbus confirm` to keep it, or `opdbus recover --now` to take it back")
	default:
		d.add(Wrong, "last run", fmt.Sprintf("run %d has not ended: it was cut off, or could not be taken back wholly", story.Run.Run), "run `opdbus recover`")
	}
}

// ledgerOf looks at who wrote the ledger.
func (d *doctor) ledgerOf() {
	l, err := ledger.Load(d.Store.Ledger())
	var version *ledger.VersionError
	switch {
	case errors.As(err, &version) && version.Newer():
		d.add(Wrong, "ledger", err.Error(), "use the opdbus that wrote it, or a later one")
	case err != nil:
		d.add(Wrong, "ledger", err.Error(), "run `opdbus fsck`")
	case l.Run == 0:
		d.add(Healthy, "ledger", "nothing is owned yet", "")
	case later(l.Opdbus, d.Version):
		d.add(Warning, "ledger", fmt.Sprintf("was written by opdbus %s, and this is %s", l.Opdbus, d.Version), "use the later one")
	default:
		d.add(Healthy, "ledger", fmt.Sprintf("of run %d, by opdbus %s", l.Run, l.Opdbus), "")
	}
}

// clock looks whether it is before the last run.
func (d *doctor) clock() {
	last, err := journal.Last(d.Store.JournalDir())
	switch {
	case err != nil:
		d.cannot("clock", err)
	case last != nil && d.o.Now.Before(last.Started):
		d.add(Warning, "clock", fmt.Sprintf("says %s, which is before run %d began, %s", d.o.Now.UTC().Format(time.RFC3339), last.Run, last.Started.Format(time.RFC3339)),
			"set it: saved plans expire by it, and snapshots are kept for days by it")
	default:
		d.add(Healthy, "clock", "is not before the last run", "")
	}
}

// later says whether version a comes after b. What is no version number, such as that of a build in between, is neither.
func later(a, b string) bool {
	x, okX := numbers(a)
	y, okY := numbers(b)
	return okX && okY && slices.Compare(x, y) > 0
}

func numbers(version string) (n []int, ok bool) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for part := range strings.SplitSeq(version, ".") {
		i, err := strconv.Atoi(part)
		if err != nil {
			return nil, false
		}
		n = append(n, i)
	}
	return n, true
}
