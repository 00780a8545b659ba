package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
)

func (a *app) graphCommand() *cobra.Command {
	l := loadFlags{elsewhere: true}
	format := "dot"
	c := &cobra.Command{
		Use:   "graph [DIR|FILE]",
		Short: "Print what needs what",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := l.source(args)
			if err != nil {
				return err
			}
			_, config, files, diags, err := a.prepare(c.Context(), dir, &l)
			if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
				return err
			}
			return render.Graph(a.out, format, render.ConfigGraph(config))
		},
	}
	l.add(c.Flags())
	c.Flags().StringVar(&format, "format", format, "dot, mermaid or json")
	return c
}
