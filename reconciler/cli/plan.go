package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) planCommand() *cobra.Command {
	var p planFlags
	var save saveFlags
	var detailed bool
	c := &cobra.Command{
		Use:   "plan [DIR|FILE]",
		Short: "Show what apply would change, and change nothing",
		Long: `Compares the configuration in DIR (default: the current directory) with what opdbus last made and with the
host, and shows what apply would change and why. It takes no lock and writes nothing, but for the file that --out names: the plan with
all that applying it needs. Anybody who may read the file can look at it with opdbus show; only this host can apply it.

FILE is a state document of the older op-dbus, such as a state.json: it is translated as opdbus import state does.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := save.check(c); err != nil {
				return err
			}
			dir, err := p.source(args)
			if err != nil {
				return err
			}
			r, plan, err := a.plan(c.Context(), dir, &p, nil)
			if err != nil {
				return err
			}
			if err := r.Endanger(c.Context(), plan); err != nil {
				return err
			}
			if err := a.showPlan(r, plan, p.json, p.verbose); err != nil {
				return err
			}
			held, err := r.HeldBack(plan)
			if err != nil {
				return err
			}
			if held != nil {
				fmt.Fprintf(a.err, "\nThis plan is held: it is that of %s. An apply with --auto-approve refuses it; see opdbus release.\n", held.Held)
			}
			if save.out != "" {
				if err := a.savePlan(r, plan, save.out, save.validFor); err != nil {
					return err
				}
			}
			if detailed && !plan.Empty() {
				return exit(exitDiffers)
			}
			return nil
		},
	}
	p.add(a, c)
	save.add(c)
	c.Flags().BoolVar(&p.destroy, "destroy", false, "plan the deletion of everything that is owned")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	return c
}
