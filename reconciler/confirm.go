package reconciler

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state/journal"
)

// A WaitingError says that a run waits for its confirmation.
type WaitingError struct {
	Run int
	By  time.Time
}

func (e *WaitingError) Error() string {
	return fmt.Sprintf("run %d waits for its confirmation until %s: opdbus confirm keeps it, opdbus recover --now takes it back", e.Run, e.By.Local().Format(time.RFC3339))
}

// Waiting says of a run that has not ended whether all of it is done and it only waits for its confirmation.
func Waiting(s *journal.Story) bool { return s.Confirm != nil && complete(s) }

// complete says whether all steps of a run are done.
func complete(s *journal.Story) bool { return len(s.Done) == s.Run.Steps && len(s.Undone) == 0 }

// overdue says whether the time in which a run could be confirmed is over. It is over with the boot in which the run was made:
// whoever could not reach the host any more has had it started anew.
func overdue(c *journal.Confirm) (bool, error) {
	boot, err := bootID()
	return err == nil && (boot != c.Boot || time.Now().After(c.By)), err
}

func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot read the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Confirm keeps the run that waits for it. Its caller holds the lock.
func (r *Reconciler) Confirm() (int, error) {
	story, err := r.CutOff()
	switch {
	case err != nil:
		return 0, err
	case story == nil || story.Confirm == nil:
		return 0, errors.New("no run waits for a confirmation")
	case !complete(story):
		return 0, fmt.Errorf("run %d was cut off; opdbus recover takes it back", story.Run.Run)
	}
	over, err := overdue(story.Confirm)
	if err != nil {
		return 0, err
	}
	if over {
		return 0, fmt.Errorf("run %d could be confirmed until %s, and is taken back", story.Run.Run, story.Confirm.By.Local().Format(time.RFC3339))
	}
	run, err := r.resume(story)
	if err != nil {
		return 0, err
	}
	return run.number, run.end(journal.Applied, "")
}

// awaitConfirmation writes until when the run has to be confirmed.
func (run *run) awaitConfirmation() error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	return run.journal.Append(journal.Record{Confirm: &journal.Confirm{By: time.Now().Add(run.confirm).UTC(), Boot: boot}})
}
