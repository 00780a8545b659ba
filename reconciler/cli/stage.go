package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) stageCommand() *cobra.Command {
	c := &cobra.Command{Use: "stage", Short: "The deployed stages"}
	var asJSON bool
	list := &cobra.Command{
		Use:   "list",
		Short: "List the deployed stages",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			l, err := owned(r)
			if err != nil {
				return err
			}
			type row struct {
				Name      string `json:"name"`
				Component string `json:"component"`
				Version   string `json:"version"`
				Run       int    `json:"run"` // the last run that changed it
				Objects   int    `json:"objects"`
				Path      string `json:"path"`
				Present   bool   `json:"present"`
			}
			rows := []row{}
			var table [][]string
			for _, addr := range l.Addrs() {
				if addr.Type != state.StageNode {
					continue
				}
				n := l.Node(addr)
				at := row{Name: addr.String(), Run: n.Run, Objects: len(n.Objects), Path: filepath.Join(r.Host.Store, "staging", addr.Dir())}
				if _, err := os.Stat(r.Store.NodeDir(addr)); err == nil {
					at.Present = true
				}
				if err := decodeMarker(n.Made(`marker[".deployed"]`), &at.Component, &at.Version); err != nil {
					return err
				}
				rows = append(rows, at)
				table = append(table, []string{at.Name, at.Component, at.Version, fmt.Sprint(at.Run), fmt.Sprint(at.Objects), at.Path})
			}
			if asJSON {
				return a.printJSON(rows)
			}
			if len(rows) == 0 {
				fmt.Fprintln(a.err, "No stage is deployed.")
				return nil
			}
			return render.Table(a.out, []string{"STAGE", "COMPONENT", "VERSION", "RUN", "OBJECTS", "PATH"}, table)
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(list)
	return c
}
