package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// applyFlags are apply's and destroy's.
type applyFlags struct {
	planFlags
	autoApprove bool
	parallelism int
	lockTimeout time.Duration
	onFailure   string
	approved    string
}

func (f *applyFlags) add(a *app, c *cobra.Command) {
	f.planFlags.add(a, c)
	c.Flags().BoolVar(&f.autoApprove, "auto-approve", false, "do not ask for confirmation")
	c.Flags().IntVar(&f.parallelism, "parallelism", 4, "change up to `N` nodes at once")
	c.Flags().DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait this long for another run to end, such as 30s")
	c.Flags().StringVar(&f.onFailure, "on-failure", "", "what a failure takes back: rollback (the whole run), node (the failed node) or stop (nothing); default: what the configuration says, else rollback")
	c.Flags().StringVar(&f.approved, "approved", "", "apply only if the plan's digest is `DIGEST`")
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Make the host as the configuration says",
		Long: `Plans the configuration in DIR (default: the current directory), shows the plan, asks, and makes it so: in dependency
order, each node between two snapshots. When something fails, what the run did is taken back.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.apply(c, args, &f) },
	}
	f.add(a, c)
	c.Flags().BoolVar(&f.destroy, "destroy", false, "delete everything that is owned")
	return c
}

func (a *app) destroyCommand() *cobra.Command {
	f := applyFlags{planFlags: planFlags{destroy: true}}
	c := &cobra.Command{
		Use:   "destroy [DIR]",
		Short: "Delete everything that opdbus made",
		Long:  `The same as apply --destroy: everything that opdbus owns is deleted, and what it had moved aside is put back.`,
		Args:  cobra.MaximumNArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return a.apply(c, args, &f) },
	}
	f.add(a, c)
	return c
}

func (a *app) apply(c *cobra.Command, args []string, f *applyFlags) error {
	ctx := c.Context()
	switch {
	case f.onFailure != "" && f.onFailure != reconciler.OnFailureRollback && f.onFailure != reconciler.OnFailureNode && f.onFailure != reconciler.OnFailureStop:
		return fmt.Errorf("--on-failure must be rollback, node or stop, not %q", f.onFailure)
	case f.parallelism < 1:
		return errors.New("--parallelism must be at least 1")
	}
	if err := privileged(c.Name()); err != nil {
		return err
	}
	dir, err := directory(args)
	if err != nil {
		return err
	}
	r, plan, err := a.plan(ctx, dir, &f.planFlags, func(r *reconciler.Reconciler) (bool, error) {
		if err := ready(r); err != nil {
			return false, err
		}
		return a.recoverFirst(ctx, r, f.lockTimeout)
	})
	if err != nil {
		return err
	}
	if !f.json || plan.Empty() {
		if err := a.show(r, plan, &f.planFlags); err != nil {
			return err
		}
	}
	if plan.Empty() {
		return nil
	}
	if err := a.approve(ctx, r, plan, f); err != nil {
		return err
	}
	if err := r.Room(plan); err != nil {
		return err
	}
	lock, err := a.lock(ctx, r, commandLine(c, args), f.lockTimeout)
	if err != nil {
		return err
	}
	defer func() {
		if err := lock.Release(); err != nil {
			a.log.Warn("cannot let go of the lock", "error", err)
		}
	}()
	r.Progress = a.progress()
	run, err := r.Apply(ctx, plan, reconciler.ApplyOptions{Parallelism: f.parallelism, OnFailure: f.onFailure, Command: commandLine(c, args)})
	if err != nil {
		return err
	}
	return a.applied(run, plan, f)
}

// approve asks, unless that has been done beforehand.
func (a *app) approve(ctx context.Context, r *reconciler.Reconciler, plan *state.Plan, f *applyFlags) error {
	if f.approved != "" {
		digest, err := plan.Digest(r.Key)
		if err != nil {
			return err
		}
		if digest != f.approved {
			return &reconciler.StaleError{Why: fmt.Sprintf("the plan's digest is %s, and %s was approved; nothing was changed", digest, f.approved)}
		}
		return nil
	}
	if f.autoApprove {
		return nil
	}
	return a.confirm(ctx, "Shall opdbus make these changes?")
}

// lock takes the store's lock, and says whom it is waiting for or was taken over from.
func (a *app) lock(ctx context.Context, r *reconciler.Reconciler, command string, timeout time.Duration) (*ledger.Lock, error) {
	lock, err := ledger.Take(ctx, r.Store.Lock(), command, timeout, func(h ledger.Holder) {
		fmt.Fprintf(a.err, "Waiting up to %s for %s.\n", timeout, h)
	})
	if err != nil {
		return nil, err
	}
	if lock.Dead != nil {
		fmt.Fprintf(a.err, "The lock was left behind by %s, which is gone; taken over.\n", lock.Dead)
	}
	return lock, nil
}

// applied prints what a run came to.
func (a *app) applied(run int, plan *state.Plan, f *applyFlags) error {
	if f.json {
		return a.printJSON(map[string]any{"run": run, "outcome": "applied", "nodes": len(plan.Nodes)})
	}
	fmt.Fprintf(a.out, "\nApplied run %d: %s changed.\n", run, render.Count(len(plan.Nodes), "node"))
	return nil
}

// progress prints what a run is doing, a line an event.
func (a *app) progress() func(reconciler.Event) {
	return func(e reconciler.Event) {
		switch {
		case e.Err != nil:
			fmt.Fprintf(a.err, "%s: %s: %v\n", e.Node, e.What, e.Err)
		case e.What == "done":
			fmt.Fprintf(a.err, "%s: %s, done\n", e.Node, render.Count(e.Changes, "change"))
		case e.What != "begun":
			fmt.Fprintf(a.err, "%s: %s\n", e.Node, e.What)
		}
	}
}

func commandLine(c *cobra.Command, args []string) string {
	line := c.CommandPath()
	for _, arg := range args {
		line += " " + arg
	}
	return line
}
