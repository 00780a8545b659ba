package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
)

func (a *app) releaseCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "release [DIGEST]",
		Short: "Let plans that were taken back be applied again",
		Long: `A plan that failed and was taken back, or that somebody rolled back, is held: an apply with --auto-approve refuses it (exit code 8),
until the configuration changes. This lets go of the held plan with DIGEST, or of all.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.changing("release")
			if err != nil {
				return err
			}
			digest := ""
			if len(args) > 0 {
				digest = args[0]
			}
			lock, err := a.lock(c.Context(), r, commandLine(c, args), f.lockTimeout)
			if err != nil {
				return err
			}
			defer a.unlock(lock)
			released, err := r.Release(digest)
			if err != nil {
				return err
			}
			if f.json {
				return a.printJSON(map[string]any{"released": append([]reconciler.Held{}, released...)})
			}
			if len(released) == 0 && digest != "" {
				return fmt.Errorf("no plan with the digest %s is held", digest)
			}
			if len(released) == 0 {
				fmt.Fprintln(a.out, "No plan is held.")
			}
			for _, h := range released {
				fmt.Fprintf(a.out, "Released the plan of %s.\n", h)
			}
			return nil
		},
	}
	c.Flags().DurationVar(&f.lockTimeout, "lock-timeout", 0, "wait this long for another run to end")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}
