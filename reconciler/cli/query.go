package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

// A queried plugin is a registered one, with what is live of it.
type queried struct {
	Name         string                    `json:"name"`
	Registration state.Object              `json:"registration"`
	Service      *state.Service            `json:"service,omitempty"` // of one that was discovered; its objects are live
	Live         map[string][]state.Object `json:"live,omitempty"`

	// NotRunning is the service that could tell, and was not started for it.
	NotRunning string `json:"not_running,omitempty"`

	version, provider, stage string
	startable                bool  // of NotRunning: the bus can start it
	err                      error // why nobody can tell what is live
}

func (a *app) queryCommand() *cobra.Command {
	var asJSON, activate bool
	var plugin string
	c := &cobra.Command{
		Use:   "query",
		Short: "Show the registered plugins",
		Long: `Shows what is registered in the registry (default /etc/op-dbus/plugins), and with --plugin NAME the live state that the plugin
looks after: every object that is there, whoever made it; of a service that opdbus plugin discover --write registered, its objects with
their interfaces and properties. It changes nothing, and starts no service unless --activate says so.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			rows, err := queryRegistered(c.Context(), r, plugin)
			if err != nil {
				return err
			}
			if err := a.queryLive(c.Context(), r, rows, state.Look{Activate: activate, Values: asJSON || plugin != "all"}); err != nil {
				return err
			}
			var errs []error
			for _, row := range rows {
				errs = append(errs, row.err)
			}
			failed := errors.Join(errs...)
			switch {
			case failed != nil && plugin != "all":
				return failed
			case asJSON:
				return errors.Join(a.printJSON(rows), failed)
			case len(rows) == 0:
				fmt.Fprintf(a.err, "No plugin is registered in %s.\n", r.Host.Registry)
				return nil
			case plugin != "all" && rows[0].Service != nil:
				return a.serviceTable(rows[0])
			case plugin != "all" && rows[0].NotRunning != "":
				fmt.Fprintln(a.err, rows[0].stopped())
				return nil
			case plugin != "all" && rows[0].Live != nil:
				return a.liveTable(rows[0].Live)
			}
			var table [][]string
			for _, row := range rows {
				table = append(table, []string{row.Name, row.version, row.provider, or(row.stage, "-"), row.text()})
			}
			return errors.Join(render.Table(a.out, []string{"PLUGIN", "VERSION", "PROVIDER", "STAGE", "LIVE STATE"}, table), failed)
		},
	}
	c.Flags().StringVar(&plugin, "plugin", "all", "the plugin's `NAME`, or all")
	c.Flags().BoolVar(&activate, "activate", false, "start services that do not run")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// queryRegistered is the plugin that is registered under a name, or all.
func queryRegistered(ctx context.Context, r *reconciler.Reconciler, plugin string) ([]queried, error) {
	kind := r.Kinds.For(state.Addr{Node: state.NodeAddr{Type: state.PluginNode}, Kind: "registration"})
	registered, _, err := kind.List(ctx)
	if err != nil {
		return nil, err
	}
	if plugin != "all" {
		registered = slices.DeleteFunc(registered, func(o state.Object) bool { return o.Key() != plugin })
		if len(registered) == 0 {
			return nil, fmt.Errorf("no plugin %q is registered in %s; opdbus query lists those that are, opdbus apply registers those of the stages it deploys, and opdbus plugin discover --write the services on the bus", plugin, r.Host.Registry)
		}
	}
	rows := make([]queried, 0, len(registered))
	for _, o := range registered {
		row := queried{Name: o.Key(), Registration: o}
		data, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		var reg struct{ Version, Provider, Stage string }
		if err := json.Unmarshal(data, &reg); err != nil {
			return nil, err
		}
		row.version, row.provider, row.stage = reg.Version, reg.Provider, reg.Stage
		rows = append(rows, row)
	}
	return rows, nil
}
