package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state/journal"
)

func (a *app) recoverCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "recover",
		Short: "Finish a run that was cut off, backwards",
		Long: `Takes back what a run that was killed, or cut off by a power failure, had done, so that the host is as it was before that
run, and says so; so it does with a run that failed and could not be taken back wholly (exit code 6), once what was in the way is
put right. A run of which everything was done stays. apply does this first by itself.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := privileged("recover"); err != nil {
				return err
			}
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			if err := ready(r); err != nil {
				return err
			}
			story, err := r.CutOff()
			if err != nil {
				return err
			}
			if story == nil {
				fmt.Fprintln(a.out, "No run was cut off.")
				return nil
			}
			return a.recover(c.Context(), r, timeout)
		},
	}
	c.Flags().DurationVar(&timeout, "lock-timeout", 0, "wait this long for another run to end")
	return c
}

// recoverFirst takes back a run that was cut off, before anything is planned upon what it left.
func (a *app) recoverFirst(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration) (recovered bool, err error) {
	if story, err := r.CutOff(); err != nil || story == nil {
		return false, err
	}
	return true, a.recover(ctx, r, timeout)
}

// recover recovers under the lock: what looks cut off may be a run that is still going on, which then ends first.
func (a *app) recover(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration) error {
	lock, err := a.lock(ctx, r, "opdbus recover", timeout)
	if err != nil {
		return err
	}
	r.Progress = a.progress()
	recovery, err := r.Recover(ctx)
	if err := lock.Release(); err != nil {
		a.log.Warn("cannot let go of the lock", "error", err)
	}
	switch {
	case err != nil:
		return &codeError{exitBroken, err}
	case recovery == nil:
	case recovery.Outcome == journal.Applied:
		fmt.Fprintf(a.err, "Run %d had been cut off when everything was done: the host is as it is after that run.\n", recovery.Run)
	default:
		fmt.Fprintf(a.err, "Run %d had been cut off and was taken back: the host is as it was before that run.\n", recovery.Run)
	}
	return nil
}
