package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
)

// applyFlags are apply's and destroy's.
type applyFlags struct {
	planFlags
	runFlags
}

func (f *applyFlags) add(a *app, c *cobra.Command) {
	f.planFlags.add(a, c)
	f.runFlags.add(c)
	c.Flags().IntVar(&f.parallelism, "parallelism", 4, "change up to `N` nodes at once")
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply [DIR | FILE | PLANFILE [DIR | FILE]]",
		Short: "Make the host as the configuration, or a saved plan, says",
		Long: `Plans the configuration in DIR (default: the current directory), shows the plan, asks, and makes it so: in dependency
order, each node between two snapshots. When something fails, what the run did is taken back.

PLANFILE is a plan that plan --out saved. It needs nothing else, and is applied once, on the host that it was made for. It is refused,
and nothing is changed (exit code 4), when it has expired or the host is no longer as it was; with DIR, also when the configuration
there, with its variables, is no longer the one that was planned.

FILE is a state document of the older op-dbus, such as a state.json: it is translated as opdbus import state does.`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return a.apply(c, args, &f) },
	}
	f.add(a, c)
	c.Flags().BoolVar(&f.destroy, "destroy", false, "delete everything that is owned")
	return c
}

func (a *app) destroyCommand() *cobra.Command {
	f := applyFlags{planFlags: planFlags{destroy: true}}
	c := &cobra.Command{
		Use:   "destroy [DIR|FILE]",
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
	if err := f.runFlags.check(); err != nil {
		return err
	}
	if err := privileged(c.Name()); err != nil {
		return err
	}
	f.runFlags.json, f.runFlags.verbose = f.planFlags.json, f.planFlags.verbose
	if isPlanFile(args) {
		return a.applySaved(c, args, f)
	}
	if len(args) > 1 {
		return usageError(c, errors.New(args[0]+" is no saved plan, and there is one configuration"))
	}
	dir, err := f.source(args)
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
	return a.execute(ctx, r, plan, &f.runFlags, commandLine(c, args))
}
