package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// runFlags are those of every command that makes a run of a plan.
type runFlags struct {
	autoApprove    bool
	json, verbose  bool
	parallelism    int
	lockTimeout    time.Duration
	confirmTimeout time.Duration
	onFailure      string
	approved       string
	allowLockout   bool
	saved          *savedPlan // the one that is applied; nil: the plan was not saved
}

func (f *runFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.autoApprove, "auto-approve", false, "do not ask for confirmation")
	c.Flags().DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait this long for another run to end, such as 30s")
	c.Flags().DurationVar(&f.confirmTimeout, "confirm-timeout", 0, "take the run back unless opdbus confirm is called within this time after it, such as 60s")
	c.Flags().BoolVar(&f.allowLockout, "allow-lockout", false, "apply without --confirm-timeout what could cut the connection over which opdbus was started")
	c.Flags().StringVar(&f.onFailure, "on-failure", "", "what a failure takes back: rollback (the whole run), node (the failed node) or stop (nothing); default: what the configuration says, else rollback")
	c.Flags().StringVar(&f.approved, "approved", "", "apply only if the plan's digest is `DIGEST`")
}

func (f *runFlags) check() error {
	switch {
	case f.onFailure != "" && f.onFailure != reconciler.OnFailureRollback && f.onFailure != reconciler.OnFailureNode && f.onFailure != reconciler.OnFailureStop:
		return fmt.Errorf("--on-failure must be rollback, node or stop, not %q", f.onFailure)
	case f.parallelism < 1:
		return errors.New("--parallelism must be at least 1")
	case f.confirmTimeout < 0:
		return errors.New("--confirm-timeout must not be negative")
	case f.confirmTimeout > 0 && f.onFailure != "" && f.onFailure != reconciler.OnFailureRollback:
		return errors.New("--confirm-timeout takes the whole run back; it does not go with --on-failure " + f.onFailure)
	}
	return nil
}

// mayEndanger refuses what could lock somebody out of the host for good.
func (f *runFlags) mayEndanger(plan *state.Plan) error {
	for _, np := range plan.Nodes {
		if len(np.Endangers) > 0 && f.confirmTimeout == 0 && !f.allowLockout {
			return &codeError{exitRefused, fmt.Errorf("the plan could lock you out: %s %s. Nothing was changed. With --confirm-timeout 60s it is taken back unless you can still run opdbus confirm; --allow-lockout does without", np.Addr, np.Endangers[0])}
		}
	}
	return nil
}

// execute shows a plan, asks, and makes it so.
func (a *app) execute(ctx context.Context, r *reconciler.Reconciler, plan *state.Plan, f *runFlags, command string) error {
	if err := r.Endanger(ctx, plan); err != nil {
		return err
	}
	if !f.json || plan.Empty() {
		if err := a.showPlan(r, plan, f.json, f.verbose); err != nil {
			return err
		}
	}
	if plan.Empty() {
		return nil
	}
	if err := f.mayEndanger(plan); err != nil {
		return err
	}
	if err := a.approve(ctx, r, plan, f); err != nil {
		return err
	}
	if err := r.Room(plan); err != nil {
		return err
	}
	lock, err := a.lock(ctx, r, command, f.lockTimeout)
	if err != nil {
		return err
	}
	prune := func() {}
	defer func() { a.unlock(lock); prune() }()
	savedID := ""
	if f.saved != nil {
		savedID = f.saved.id
		defer a.dropContent(r)
		if err := f.saved.place(r); err != nil {
			return err
		}
	}
	r.Progress = a.progress()
	run, err := r.Apply(ctx, plan, reconciler.ApplyOptions{
		Began: func(run int) {
			if err := lock.SetRun(run); err != nil {
				a.log.Warn("cannot write the run into the lock", "run", run, "error", err)
			}
		},
		Parallelism: f.parallelism, OnFailure: f.onFailure, Command: command, Plan: savedID,
		Confirm: f.confirmTimeout, Arm: func(run int) error { return a.arm(r, run) },
	})
	if err != nil {
		return err
	}
	if f.confirmTimeout == 0 {
		prune = a.pruneAfter(ctx, r, plan.Retention)
	}
	return a.applied(run, plan, f)
}

// approve asks, unless that has been done beforehand. Where nobody is asked, a plan that is held is refused.
func (a *app) approve(ctx context.Context, r *reconciler.Reconciler, plan *state.Plan, f *runFlags) error {
	held, err := r.HeldBack(plan)
	if err != nil {
		return err
	}
	if held != nil && (f.autoApprove || f.approved != "") {
		return held
	}
	if held != nil {
		fmt.Fprintf(a.err, "\nThis plan is held: it is that of %s.\n", held.Held)
	}
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

// lock takes the store's lock, and says whom it is waiting for or was taken over from. From then on a reader of the output who goes
// away, such as a session that ends, does not end the program (SIGPIPE): it only is told nothing more.
func (a *app) lock(ctx context.Context, r *reconciler.Reconciler, command string, timeout time.Duration) (*ledger.Lock, error) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	take := func(timeout time.Duration) (*ledger.Lock, error) {
		return ledger.Take(ctx, r.Store.Lock(), command, timeout, func(h ledger.Holder) {
			fmt.Fprintf(a.err, "Waiting up to %s for %s.\n", timeout, h)
		})
	}
	lock, err := take(timeout)
	var locked *ledger.LockedError
	if errors.As(err, &locked) && locked.Holder.Command == reinstating {
		lock, err = take(time.Minute)
	}
	if err != nil {
		return nil, err
	}
	a.dropContent(r)
	if lock.Dead != nil {
		fmt.Fprintf(a.err, "The lock was left behind by %s, which is gone; taken over.\n", lock.Dead)
	}
	return lock, nil
}

func (a *app) unlock(lock *ledger.Lock) {
	if err := lock.Release(); err != nil {
		a.log.Warn("cannot let go of the lock", "error", err)
	}
}

// applied prints what a run came to.
func (a *app) applied(run int, plan *state.Plan, f *runFlags) error {
	outcome := "applied"
	if f.confirmTimeout > 0 {
		outcome = reconciler.WaitsForConfirm
	}
	if f.json {
		return a.printJSON(map[string]any{"run": run, "outcome": outcome, "nodes": len(plan.Nodes)})
	}
	fmt.Fprintf(a.out, "\nApplied run %d: %s changed.\n", run, render.Count(len(plan.Nodes), "node"))
	if f.confirmTimeout > 0 {
		fmt.Fprintf(a.out, "It is taken back unless opdbus confirm is called within %s.\n", f.confirmTimeout)
	}
	return nil
}

// progress prints what a run is doing, a line an event.
func (a *app) progress() func(reconciler.Event) {
	a.running = true
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
