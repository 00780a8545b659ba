package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
)

// pruneFlags are those of snapshots prune.
type pruneFlags struct {
	loadFlags
	keep, keepDays int
	dryRun, json   bool
	lockTimeout    time.Duration
}

func (a *app) snapshotsPruneCommand() *cobra.Command {
	var f pruneFlags
	c := &cobra.Command{
		Use:   "prune [DIR]",
		Short: "Delete the snapshots that are kept no longer",
		Long: `Deletes the snapshots of runs that are not among the newest --keep, or were made --keep-days ago or more; without a flag, what the
configuration in DIR (default: the current directory, if it has one) says. The oldest runs go first, whole; what a run that has not ended,
or rolling back a node, still needs stays however old it is. An apply does the same by itself when its configuration has limits.

--dry-run lists what would be deleted; the sizes are those of the files, which snapshots share.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.prune(c, args, &f) },
	}
	c.Flags().IntVar(&f.keep, "keep", 0, "keep the snapshots of the newest `N` runs; 0: no limit")
	c.Flags().IntVar(&f.keepDays, "keep-days", 0, "keep the snapshots of runs younger than `N` days; 0: no limit")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list what would be deleted, and delete nothing")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait this long for a run to end")
	f.loadFlags.add(c.Flags())
	return c
}

func (a *app) prune(c *cobra.Command, args []string, f *pruneFlags) error {
	if f.keep < 0 || f.keepDays < 0 {
		return errors.New("--keep and --keep-days must not be negative; 0 sets no limit")
	}
	if err := privileged("snapshots prune"); err != nil {
		return err
	}
	config, err := a.pruneConfig(c, args, f)
	if err != nil {
		return err
	}
	limits := limitsOf(c, config, f)
	if limits.Keep == 0 && limits.KeepDays == 0 {
		return errors.New("there is no limit to how many snapshots are kept, or how long: give --keep or --keep-days, or set them in the configuration's snapshots block")
	}
	r, err := a.reconciler(config)
	if err != nil {
		return err
	}
	if err := ready(r); err != nil {
		return err
	}
	if f.dryRun {
		victims, err := prunable(limits)(r)
		if err != nil {
			return err
		}
		return a.wouldDelete(victims, f.json)
	}
	return a.deleteSnapshots(c, args, r, deletion{choose: prunable(limits), said: pruned, json: f.json, lockTimeout: f.lockTimeout})
}

// pruneConfig is the configuration that says how long snapshots are kept; nil when there is none, or the flags say all.
func (a *app) pruneConfig(c *cobra.Command, args []string, f *pruneFlags) (*state.Config, error) {
	if len(args) == 0 {
		if c.Flags().Changed("keep") || c.Flags().Changed("keep-days") {
			return nil, nil
		}
		for _, pattern := range []string{"*.hcl", "*.hcl.json"} {
			if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
				args = []string{"."}
			}
		}
		if len(args) == 0 {
			return nil, nil
		}
	}
	dir, err := directory(args)
	if err != nil {
		return nil, err
	}
	config, files, diags, err := a.load(c.Context(), dir, &f.loadFlags)
	return config, errors.Join(err, a.diagnose(files, diags))
}

// limitsOf are the configuration's, each replaced by its flag where that is given.
func limitsOf(c *cobra.Command, config *state.Config, f *pruneFlags) (limits state.SnapshotSettings) {
	if config != nil {
		limits = config.Settings.Snapshots
	}
	if c.Flags().Changed("keep") {
		limits.Keep = f.keep
	}
	if c.Flags().Changed("keep-days") {
		limits.KeepDays = f.keepDays
	}
	return limits
}

// prunable chooses what is kept no longer.
func prunable(limits state.SnapshotSettings) func(*reconciler.Reconciler) ([]snapshot.Info, error) {
	return func(r *reconciler.Reconciler) ([]snapshot.Info, error) { return r.Prunable(limits, time.Now()) }
}

// wouldDelete lists snapshots that would be deleted.
func (a *app) wouldDelete(victims []snapshot.Info, asJSON bool) error {
	rows := make([]snapshotRow, 0, len(victims))
	var table [][]string
	for _, v := range victims {
		row, err := rowOf(v)
		if err != nil {
			return err
		}
		rows, table = append(rows, row), append(table, row.text())
	}
	if asJSON {
		return a.printJSON(map[string]any{"dry_run": true, "snapshots": rows})
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.err, "No snapshot would be deleted.")
		return nil
	}
	if err := render.Table(a.out, []string{"NAME", "SIZE", "NODE"}, table); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s would be deleted, of runs up to %d.\n", render.Count(len(victims), "snapshot"), lastRun(victims))
	return nil
}

// A deletion is a command that deletes snapshots.
type deletion struct {
	choose      func(*reconciler.Reconciler) ([]snapshot.Info, error)
	said        func(deleted []snapshot.Info) string
	json        bool
	lockTimeout time.Duration
}

// deleteSnapshots chooses snapshots under the lock, says there that they go, and deletes them when it has let go of the lock.
func (a *app) deleteSnapshots(c *cobra.Command, args []string, r *reconciler.Reconciler, d deletion) error {
	lock, err := a.lock(c.Context(), r, commandLine(c, args), d.lockTimeout)
	if err != nil {
		return err
	}
	victims, pruning, err := a.beginPruning(c.Context(), r, d.choose)
	a.unlock(lock)
	if err != nil {
		return err
	}
	if pruning != nil {
		if err := pruning.Finish(); err != nil {
			return fmt.Errorf("%w; they are listed no longer, and opdbus recover goes on with deleting them", err)
		}
	}
	if d.json {
		names := make([]string, len(victims))
		for i, v := range victims {
			names[i] = v.Name
		}
		return a.printJSON(map[string]any{"dry_run": false, "deleted": names})
	}
	fmt.Fprintln(a.out, or(d.said(victims), "No snapshot is to be deleted."))
	return nil
}
