package reconciler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A StaleError says that the plan no longer fits the host or was made for another; nothing has been changed for it.
type StaleError struct{ Why string }

func (e *StaleError) Error() string { return e.Why }

// A FailedError says that a run failed and what became of what it had done.
type FailedError struct {
	Run int
	Err error // why it failed
	// Outcome is journal.TakenBack, journal.Kept or journal.Broken; Policy is the on_failure it came by.
	Outcome, Policy string
	// Undo is what went wrong while taking back; nil when nothing did.
	Undo error
	// Verification says that a check failed rather than a change; Interrupted that somebody asked to stop.
	Verification, Interrupted bool
}

func (e *FailedError) Error() string {
	s := fmt.Sprintf("run %d failed: %v", e.Run, e.Err)
	if e.Undo != nil {
		s += fmt.Sprintf("\ncannot take it back wholly: %v", e.Undo)
	}
	return s
}

func (e *FailedError) Unwrap() []error { return []error{e.Err, e.Undo} }

// A CheckError is a verify or health check that failed.
type CheckError struct {
	Node  state.NodeAddr
	Check string
	Err   error
}

func (e *CheckError) Error() string {
	return fmt.Sprintf("%s: check %q failed: %v", e.Node, e.Check, e.Err)
}
func (e *CheckError) Unwrap() error { return e.Err }

// differences lists the first objects that are not as they should be.
func differences(addrs []string) string {
	const most = 5
	if len(addrs) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(addrs[:most], ", "), len(addrs)-most)
	}
	return strings.Join(addrs, ", ")
}

// errStopped says that somebody asked to stop.
var errStopped = errors.New("interrupted")
