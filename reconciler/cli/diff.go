package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) diffCommand() *cobra.Command {
	var l loadFlags
	var plugin string
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "diff FILE|DIR",
		Short: "Compare a configuration with the host",
		Long: `Shows in what the host differs from what the configuration in DIR declares: each attribute as it is and as it is wanted. Unlike plan
it does not care who made what is there, and says nothing of what is no longer declared. It changes nothing. Exits with 2 when something
differs.

FILE is one *.hcl or *.hcl.json file, which is taken alone: what it refers to has to be in it; or a state document of the older op-dbus,
such as a state.json.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := l.only(args[0])
			if err != nil {
				return err
			}
			r, config, files, diags, err := a.prepare(c.Context(), dir, &l)
			if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
				return err
			}
			pick := func(n state.NodeAddr) bool { return plugin == "" || n.Type == state.PluginNode && n.Name == plugin }
			if plugin != "" && !slices.ContainsFunc(config.Nodes, func(n *state.Node) bool { return pick(n.Addr) }) {
				return fmt.Errorf("the configuration in %s has no plugin %q", args[0], plugin)
			}
			if r.Key, err = secretKey(r); err != nil {
				return err
			}
			changes, compared, err := r.Differences(c.Context(), config, pick)
			if err != nil {
				return err
			}
			if asJSON {
				rows, err := changeRows(changes, r.Key)
				if err != nil {
					return err
				}
				if err := a.printJSON(map[string]any{"compared": compared, "differ": rows}); err != nil {
					return err
				}
			} else if len(changes) == 0 {
				fmt.Fprintf(a.out, "No differences: %s as declared.\n", are(compared))
			} else if err := render.Changes(a.out, changes, a.renderOptions(r, verbose)); err != nil {
				return err
			}
			if len(changes) > 0 {
				return exit(exitDiffers)
			}
			return nil
		},
	}
	l.add(c.Flags())
	c.Flags().StringVar(&plugin, "plugin", "", "compare this plugin only: `NAME`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every object, however many are alike")
	return c
}

// are is how many objects are something.
func are(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return render.Count(n, "object") + " are"
}
