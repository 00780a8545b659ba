package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state/journal"
)

func (a *app) recoverCommand() *cobra.Command {
	var timeout time.Duration
	var o reconciler.RecoverOptions
	c := &cobra.Command{
		Use:   "recover",
		Short: "Finish a run that was cut off, backwards",
		Long: `Takes back what a run that was killed, or cut off by a power failure, had done, so that the host is as it was before that
run, and says so; so it does with a run that failed and could not be taken back wholly (exit code 6), once what was in the way is
put right. A run of which everything was done stays, unless it waited for a confirmation that did not come in time, or before the host
was started anew. apply does this first by itself.

A run that cannot be taken back, whatever is tried, stands in the way of others. --abandon leaves the host as that run left it; what
opdbus owns is then what its complete steps made, and opdbus verify and plan show what differs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.changing("recover")
			if err != nil {
				return err
			}
			story, err := r.CutOff()
			var damaged *journal.DamagedError
			if err != nil && !(o.Abandon && errors.As(err, &damaged)) {
				return err
			}
			if err == nil && story == nil {
				fmt.Fprintln(a.out, "No run was cut off.")
				return errors.Join(a.tidy(c.Context(), r, timeout), a.recoverPruning(c.Context(), r, timeout))
			}
			if err := a.recover(c.Context(), r, timeout, o); err != nil {
				return err
			}
			return a.recoverPruning(c.Context(), r, timeout)
		},
	}
	c.Flags().BoolVar(&o.Now, "now", false, "take back a run that waits for its confirmation, although there is time left")
	c.Flags().BoolVar(&o.Abandon, "abandon", false, "leave the host as the run left it, and end the run")
	c.MarkFlagsMutuallyExclusive("now", "abandon")
	c.Flags().DurationVar(&timeout, "lock-timeout", 0, "wait this long for another run to end")
	return c
}

// recoverFirst takes back a run that was cut off, before anything is planned upon what it left.
func (a *app) recoverFirst(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration) (recovered bool, err error) {
	if story, err := r.CutOff(); err != nil || story == nil {
		return false, err
	}
	return true, a.recover(ctx, r, timeout, reconciler.RecoverOptions{})
}

// recover recovers under the lock: what looks cut off may be a run that is still going on, which then ends first.
func (a *app) recover(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration, o reconciler.RecoverOptions) error {
	lock, err := a.lock(ctx, r, "opdbus recover", timeout)
	if err != nil {
		return err
	}
	r.Progress = a.progress()
	recovery, err := r.Recover(ctx, o)
	a.unlock(lock)
	var waiting *reconciler.WaitingError
	switch {
	case errors.As(err, &waiting):
		return err
	case err != nil:
		return &codeError{exitBroken, err}
	case recovery == nil:
	case recovery.Outcome == journal.Applied:
		fmt.Fprintf(a.err, "Run %d had been cut off when everything was done: the host is as it is after that run.\n", recovery.Run)
	case recovery.Outcome == journal.Kept:
		fmt.Fprintf(a.err, "Run %d was abandoned: the host is as that run left it, which may be in between. See opdbus show %[1]d, verify and drift.\n", recovery.Run)
	case recovery.Unconfirmed:
		fmt.Fprintf(a.err, "Run %d was not confirmed and was taken back: the host is as it was before that run.\n", recovery.Run)
	default:
		fmt.Fprintf(a.err, "Run %d had been cut off and was taken back: the host is as it was before that run.\n", recovery.Run)
	}
	return nil
}
