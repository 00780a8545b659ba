package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// The exit codes, everywhere.
const (
	exitDone        = 0
	exitError       = 1
	exitDiffers     = 2   // changes or drift
	exitUnverified  = 3   // verification failed and nothing was taken back
	exitStale       = 4   // the plan is stale, foreign, used or expired; nothing changed
	exitTakenBack   = 5   // failed and taken back cleanly
	exitBroken      = 6   // failed and not wholly taken back: a person is needed
	exitLocked      = 7   // somebody else has the lock
	exitRefused     = 8   // held, or refused by a protection
	exitInterrupted = 130 // stopped by a signal
)

// A codeError ends the program with a code; one without an error says nothing more.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}
func (e *codeError) Unwrap() error { return e.err }

// exit ends the program with a code, all having been said.
func exit(code int) error { return &codeError{code: code} }

func usageError(c *cobra.Command, err error) error {
	return fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath())
}

// report prints an error, once, and says which exit code it comes to.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	var code *codeError
	if errors.As(err, &code) && code.err == nil {
		return code.code
	}
	fmt.Fprintf(a.err, "%s %v\n", a.paint(a.err, red, "Error:"), err)
	var failed *reconciler.FailedError
	var stale *reconciler.StaleError
	var locked *ledger.LockedError
	var held *reconciler.HeldError
	var waiting *reconciler.WaitingError
	var dependents *reconciler.DependentsError
	var needed *reconciler.NeededError
	switch {
	case code != nil:
		return code.code
	case errors.As(err, &failed):
		return a.outcome(failed)
	case errors.As(err, &stale):
		return exitStale
	case errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &held), errors.As(err, &waiting), errors.As(err, &dependents), errors.As(err, &needed):
		return exitRefused
	case errors.Is(err, context.Canceled) && a.interrupted.Load():
		return exitInterrupted
	}
	return exitError
}

// outcome says in words what became of a failed run, and which exit code that is.
func (a *app) outcome(failed *reconciler.FailedError) int {
	switch failed.Outcome {
	case journal.TakenBack:
		what := fmt.Sprintf("Everything that run %d had changed was taken back: the host is as it was before.", failed.Run)
		if failed.Policy == reconciler.OnFailureNode {
			what = fmt.Sprintf("What run %d had changed of the failed node was taken back, as on_failure = \"node\" says; the nodes that were complete stay.", failed.Run)
		}
		fmt.Fprintln(a.err, what)
		var stale *reconciler.StaleError
		switch {
		case failed.Interrupted:
			return exitInterrupted
		case errors.As(failed.Err, &stale):
			return exitStale
		}
		return exitTakenBack
	case journal.Kept:
		fmt.Fprintf(a.err, "Nothing was taken back, as on_failure = \"stop\" says: what run %d did until then stays.\n", failed.Run)
		if failed.Verification {
			return exitUnverified
		}
		return exitBroken
	}
	fmt.Fprintf(a.err, "Run %d could not be taken back wholly: the host is in between, and a person is needed. What is wrong stands above; when it is put right, opdbus recover goes on with taking back, and so does the next apply.\n", failed.Run)
	return exitBroken
}
