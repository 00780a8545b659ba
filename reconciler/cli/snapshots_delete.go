package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state/snapshot"
)

func (a *app) snapshotsDeleteCommand() *cobra.Command {
	var force, asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete snapshots by their names",
		Long: `Deletes snapshots: all that are named, or none. The two of a step go together. What came after a snapshot that is deleted can be taken
back as before; what came before it cannot be gone back to for that node.

One that a run without an end needs is refused, and so is one that rolling back a node goes back to, but for --force (exit code 8).`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.changing("snapshots delete")
			if err != nil {
				return err
			}
			return a.deleteSnapshots(c, args, r, deletion{
				choose:      func(r *reconciler.Reconciler) ([]snapshot.Info, error) { return r.Deletable(args, force) },
				said:        func(deleted []snapshot.Info) string { return "Deleted " + render.Count(len(deleted), "snapshot") + "." },
				json:        asJSON,
				lockTimeout: timeout,
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "delete also what rolling back a node goes back to, which it cannot do then")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().DurationVar(&timeout, "lock-timeout", 0, "wait this long for a run to end")
	c.ValidArgsFunction = a.completeSnapshots
	return c
}
