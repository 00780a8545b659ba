package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	l := loadFlags{elsewhere: true}
	var asJSON bool
	c := &cobra.Command{
		Use:   "validate [DIR|FILE]",
		Short: "Check a configuration without looking at the host",
		Long: `Reads, evaluates and checks the configuration in DIR (default: the current directory), or in FILE, a state document of the older
op-dbus. It needs neither root nor a store.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := l.source(args)
			if err != nil {
				return err
			}
			_, _, files, diags, err := a.prepare(c.Context(), dir, &l)
			if err != nil {
				return err
			}
			if asJSON {
				data, err := files.JSON(diags)
				if err != nil {
					return err
				}
				if _, err := a.out.Write(data); err != nil {
					return err
				}
				if diags.HasErrors() {
					return exit(exitError)
				}
				return nil
			}
			if err := a.diagnose(files, diags); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "The configuration is valid.")
			return nil
		},
	}
	l.add(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print the diagnostics as JSON")
	return c
}
