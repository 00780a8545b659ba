package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is right and wrong with this host for opdbus",
		Long: `Looks at what opdbus needs of the host, and says of each thing whether it is ok, and else what helps: the user, the kernel, systemd, the
store, the room in it, quotas, the units that init installs, the lock, the last run, plans that are held, the ledger, the clock, the snapshots,
and what fsck finds. It changes nothing. Exits with 1 when there is a problem; a warning is none.

Where there is a configuration in the current directory, it is asked how long snapshots are kept.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			o := reconciler.DoctorOptions{Now: time.Now()}
			if hasConfig(".") {
				if config, _, diags, err := a.load(c.Context(), ".", &loadFlags{}); err == nil && config != nil && !diags.HasErrors() {
					o.Retention = &config.Settings.Snapshots
				}
			}
			found, err := r.Doctor(c.Context(), o)
			if err != nil {
				return err
			}
			wrong := slices.ContainsFunc(found, func(d reconciler.Diagnosis) bool { return d.Status == reconciler.Wrong })
			if asJSON {
				err = a.printJSON(map[string]any{"ok": !wrong, "checks": found})
			} else {
				err = a.doctorText(found)
			}
			if err == nil && wrong {
				return exit(exitError)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) doctorText(found []reconciler.Diagnosis) error {
	symbols := map[string]string{reconciler.Healthy: "✓", reconciler.Warning: "!", reconciler.Wrong: "✗"}
	counts := map[string]int{}
	var table [][]string
	for _, d := range found {
		counts[d.Status]++
		table = append(table, []string{symbols[d.Status] + " " + d.Status, d.About, d.What})
		if d.Remedy != "" {
			table = append(table, []string{"", "", "  " + d.Remedy})
		}
	}
	if err := render.Table(a.out, nil, table); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s, %s, %d ok.\n", render.Count(counts[reconciler.Wrong], "problem"), render.Count(counts[reconciler.Warning], "warning"), counts[reconciler.Healthy])
	return nil
}
