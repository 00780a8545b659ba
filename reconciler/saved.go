package reconciler

import "github.com/opdbus/opdbus/state/journal"

// AppliedBy is the run that began to apply the saved plan with an id, whatever became of it; 0 when none did. Runs up to the one
// after which the plan was made cannot have.
func (r *Reconciler) AppliedBy(id string, after int) (int, error) {
	runs, err := journal.Runs(r.Store.JournalDir())
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		if run <= after {
			continue
		}
		story, err := journal.Read(r.Store.JournalDir(), run)
		if err != nil {
			return 0, err
		}
		if story != nil && story.Run.Plan == id {
			return run, nil
		}
	}
	return 0, nil
}
