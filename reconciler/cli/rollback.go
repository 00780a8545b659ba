package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
)

// rollbackFlags are those of the commands that take back former runs.
type rollbackFlags struct {
	runFlags
	save         saveFlags
	cascade, all bool
	snapshot     string
}

func (f *rollbackFlags) add(c *cobra.Command) {
	f.runFlags.add(c)
	f.parallelism = 1 // each node goes back after the one before it
	f.save.add(c)
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "list every change, however many are alike")
}

func (a *app) rollbackCommand() *cobra.Command {
	var f rollbackFlags
	c := &cobra.Command{
		Use:   "rollback NODE | --all | --snapshot NAME",
		Short: "Take back what runs did to a node, or to all",
		Long: `Takes back what the last run did to NODE: shows the plan, asks, and puts back what was there before that run, links,
registrations and live objects first, then the files. When the last run was a rollback, that is taken back. Nodes that depend on NODE
are in the way, unless --cascade takes them back too.

--all goes back to before the first run, --snapshot to when a snapshot was taken: everything that happened after it is taken back.

A rollback is a run like any other: it is recorded, taken back when it fails, and can be taken back itself. It needs no configuration.
What it took back is held: an unattended apply does not bring it again until the configuration changes (see opdbus release).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var o reconciler.RollbackOptions
			given := len(args)
			if f.all {
				given++
			}
			if f.snapshot != "" {
				given++
			}
			if given != 1 {
				return usageError(c, errors.New("give one of NODE, --all and --snapshot NAME"))
			}
			if f.cascade && len(args) == 0 {
				return usageError(c, errors.New("--cascade goes with NODE; everything is taken back together anyway"))
			}
			o.All, o.Snapshot, o.Cascade = f.all, f.snapshot, f.cascade
			if len(args) > 0 {
				node, err := nodeAddr(args[0])
				if err != nil {
					return err
				}
				o.Node = node
			}
			return a.rollback(c, args, &f, o)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.cascade, "cascade", false, "take back what depends on NODE too")
	c.Flags().BoolVar(&f.all, "all", false, "take back everything that any run did")
	c.Flags().StringVar(&f.snapshot, "snapshot", "", "take back everything that happened after the snapshot `NAME`")
	c.ValidArgsFunction = only(1, a.completeNodes)
	_ = c.RegisterFlagCompletionFunc("snapshot", a.completeSnapshots) // fails for an unknown flag only
	return c
}

func (a *app) restoreCommand() *cobra.Command {
	var f rollbackFlags
	var subvolume bool
	c := &cobra.Command{
		Use:   "restore NAME",
		Short: "Make everything as it was when a snapshot was taken",
		Long: `The same as rollback --snapshot NAME: everything that any run did after that snapshot is taken back, in reverse order.

With --subvolume, NAME is a snapshot of one of the further subvolumes that the configuration has snapshotted with each run, and that
subvolume alone goes back to it, whatever changed it since: it is exchanged for a copy of the snapshot in one step. The root that the
host runs on cannot be; the copy becomes the file system's default subvolume, which the next boot takes. Either way what was there is kept
as another snapshot, to which one can go back like that.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if subvolume {
				return a.restoreSubvolume(c, args, &f)
			}
			return a.rollback(c, args, &f, reconciler.RollbackOptions{Snapshot: args[0]})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&subvolume, "subvolume", false, "restore the subvolume that the snapshot is of, which belongs to no node")
	c.ValidArgsFunction = only(1, a.completeSnapshots)
	return c
}

func (a *app) undoCommand() *cobra.Command {
	var f rollbackFlags
	c := &cobra.Command{
		Use:   "undo [RUN]",
		Short: "Take back the last run as a whole",
		Long: `Takes back everything that the last run did, to whichever nodes: after a rollback, that gives back what was there before it.
With RUN, that run and all that came after it are taken back.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o := reconciler.RollbackOptions{Last: true}
			if len(args) > 0 {
				run, err := strconv.Atoi(args[0])
				if err != nil || run < 1 {
					return fmt.Errorf("%q is not the number of a run; opdbus history lists the runs", args[0])
				}
				o = reconciler.RollbackOptions{Run: run}
			}
			return a.rollback(c, args, &f, o)
		},
	}
	f.add(c)
	c.ValidArgsFunction = a.completeRuns
	return c
}

// rollback plans taking back, and does it as apply does.
func (a *app) rollback(c *cobra.Command, args []string, f *rollbackFlags, o reconciler.RollbackOptions) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.save.check(c); err != nil {
		return err
	}
	if err := privileged(c.Name()); err != nil {
		return err
	}
	r, plan, err := a.planRollback(c, f, o)
	if err != nil {
		return err
	}
	if f.save.out != "" {
		if err := r.Endanger(c.Context(), plan); err != nil {
			return err
		}
		if err := a.showPlan(r, plan, f.json, f.verbose); err != nil {
			return err
		}
		return a.savePlan(r, plan, f.save.out, f.save.validFor)
	}
	line := commandLine(c, args)
	if f.all {
		line += " --all"
	}
	if f.snapshot != "" {
		line += " --snapshot " + f.snapshot
	}
	return a.execute(c.Context(), r, plan, &f.runFlags, line)
}

func (a *app) planRollback(c *cobra.Command, f *rollbackFlags, o reconciler.RollbackOptions) (*reconciler.Reconciler, *state.Plan, error) {
	r, err := a.reconciler(nil)
	if err != nil {
		return nil, nil, err
	}
	if err := ready(r); err != nil {
		return nil, nil, err
	}
	hugeHeap()
	if _, err := a.recoverFirst(c.Context(), r, f.lockTimeout); err != nil {
		return nil, nil, err
	}
	l, err := owned(r)
	if err != nil {
		return nil, nil, err
	}
	if r.Key, err = secretKey(r); err != nil {
		return nil, nil, err
	}
	plan, err := r.Rollback(c.Context(), l, o)
	return r, plan, err
}
