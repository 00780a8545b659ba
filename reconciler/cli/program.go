package cli

import (
	"context"
	"io"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
)

// Programs are commands that providers have processes of their own run, by name. Nobody calls them by hand.
type Programs map[string]func(ctx context.Context, args []string, log io.Writer) error

func (a *app) programCommands() (all []*cobra.Command) {
	for _, name := range slices.Sorted(maps.Keys(a.programs)) {
		all = append(all, &cobra.Command{
			Use:    name,
			Hidden: true,
			Args:   cobra.ArbitraryArgs,
			RunE: func(c *cobra.Command, args []string) error {
				a.listening.Store(true)
				debug.SetGCPercent(100) // it lives long, unlike other commands
				return a.programs[name](c.Context(), args, a.err)
			},
		})
	}
	return all
}
