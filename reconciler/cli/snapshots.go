package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state/snapshot"
)

func (a *app) snapshotsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots: name, size, node",
		Long: `Lists the snapshots in the order of the runs and steps that took them. A size is that of the files in the snapshot; those of
the further subvolumes that a configuration names are not counted here, but by opdbus snapshots show.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			store, err := openStore(r)
			if err != nil {
				return err
			}
			var infos []snapshot.Info
			if store != nil {
				if infos, err = r.Snapshots(); err != nil {
					return err
				}
			}
			rows := make([]snapshotRow, 0, len(infos))
			var table [][]string
			for _, i := range infos {
				row, err := rowOf(i)
				if errors.Is(err, fs.ErrNotExist) {
					continue // it was deleted in the meantime
				}
				if err != nil {
					return err
				}
				rows, table = append(rows, row), append(table, row.text())
			}
			if asJSON {
				return a.printJSON(rows)
			}
			if len(rows) == 0 {
				fmt.Fprintln(a.err, "There are no snapshots; every apply takes two of each node that it changes.")
				return nil
			}
			return render.Table(a.out, []string{"NAME", "SIZE", "NODE"}, table)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(a.snapshotsShowCommand(), a.snapshotsDiffCommand(), a.snapshotsPruneCommand(), a.snapshotsDeleteCommand())
	return c
}

// A snapshotRow is a snapshot as it is listed.
type snapshotRow struct {
	Name    string    `json:"name"`
	Size    *int64    `json:"size"` // null: not counted
	Node    string    `json:"node,omitempty"`
	Of      string    `json:"subvolume,omitempty"`
	Run     int       `json:"run"`
	Step    int       `json:"step"`
	Phase   string    `json:"phase"`
	Created time.Time `json:"created"`
	Problem string    `json:"problem,omitempty"`
}

func rowOf(i snapshot.Info) (snapshotRow, error) {
	row := snapshotRow{Name: i.Name, Of: i.Subvolume, Run: i.Run, Step: i.Step, Phase: string(i.Phase), Created: i.Created, Problem: i.Problem}
	if i.Subvolume != "" { // a whole system, perhaps
		return row, nil
	}
	row.Node = i.Node.String()
	size, err := snapshot.Size(i.Path)
	row.Size = &size
	return row, err
}

func (r snapshotRow) text() []string {
	if r.Size == nil {
		return []string{r.Name, "-", "subvolume " + r.Of}
	}
	return []string{r.Name, "[" + render.Bytes(*r.Size) + "]", or(r.Problem, r.Node)}
}
