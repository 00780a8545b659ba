package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state/journal"
)

func (a *app) confirmCommand() *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Keep a run that is taken back unless it is confirmed",
		Long:  `Keeps what a run with --confirm-timeout did. Without it, or when the host is started anew before it, the run is taken back.`,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.changing("confirm")
			if err != nil {
				return err
			}
			lock, err := a.lock(c.Context(), r, commandLine(c, nil), timeout)
			if err != nil {
				return err
			}
			defer a.unlock(lock)
			run, err := r.Confirm()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Run %d is confirmed and stays.\n", run)
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "lock-timeout", 10*time.Second, "wait this long for another run to end")
	return c
}

// awaitCommand is what takes a run back that nobody confirms: not for people.
func (a *app) awaitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "await-confirmation RUN", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			run, err := strconv.Atoi(args[0])
			if err != nil {
				return err
			}
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			return a.await(c.Context(), r, run)
		},
	}
}

// await waits until a run has been confirmed, or has ended in another way, and takes it back when the time is over. The journal
// is looked at again and again: the time begins anew when the run's last change is made.
func (a *app) await(ctx context.Context, r *reconciler.Reconciler, run int) error {
	var by time.Time
	var over <-chan time.Time // by this process's own clock, which nobody sets
	for {
		story, err := r.CutOff()
		if err != nil {
			return err
		}
		if story == nil || story.Run.Run != run || story.Confirm == nil {
			return nil
		}
		if !story.Confirm.By.Equal(by) {
			by = story.Confirm.By
			over = time.After(time.Until(by))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(awaitPause):
		case <-over:
			if done, err := a.unconfirmed(ctx, r, run, by); done || err != nil {
				return err
			}
			over = nil
			by = time.Time{}
		}
	}
}

// awaitPause is how often the journal is looked at; lockPatience how long a run is waited for that is still going on when the time
// is over.
const (
	awaitPause   = time.Second
	lockPatience = 24 * time.Hour
)

// unconfirmed takes a run back whose time is over, once nobody has the lock. The run may have ended until then, or have made its last
// change only then, with which the time begins anew.
func (a *app) unconfirmed(ctx context.Context, r *reconciler.Reconciler, run int, by time.Time) (done bool, err error) {
	lock, err := a.lock(ctx, r, "opdbus await-confirmation "+strconv.Itoa(run), lockPatience)
	if err != nil {
		return false, err
	}
	defer a.unlock(lock)
	story, err := r.CutOff()
	if err != nil {
		return false, err
	}
	if story != nil && story.Run.Run == run && !story.Confirm.By.Equal(by) {
		return false, nil
	}
	recovery, err := r.Recover(ctx, reconciler.RecoverOptions{Run: run, Now: true})
	if err != nil {
		return false, &codeError{exitBroken, err}
	}
	if recovery != nil && recovery.Outcome == journal.TakenBack {
		fmt.Fprintf(a.err, "Nobody confirmed run %d: it was taken back.\n", run)
	}
	return true, nil
}

// arm starts what takes a run back that nobody confirms: a transient unit of systemd where that runs, else a process of its own
// session. Either goes on when this process ends, and its session.
func (a *app) arm(r *reconciler.Reconciler, run int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"--store", r.Host.Store}
	if r.Host.Root != "" {
		args = append(args, "--root", r.Host.Root)
	}
	args = append(args, "await-confirmation", strconv.Itoa(run))
	if _, err := os.Stat("/run/systemd/system"); err == nil && r.Host.Root == "" {
		unit := fmt.Sprintf("opdbus-confirm-%d", run)
		cmd := exec.Command("systemd-run", append([]string{"--quiet", "--collect", "--unit=" + unit, "--service-type=exec",
			"--description=Takes back run " + strconv.Itoa(run) + " of opdbus unless it is confirmed", "--", self}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot start the unit %s: %w: %s", unit, err, out)
		}
		return nil
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
