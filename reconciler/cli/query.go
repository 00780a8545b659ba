package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) queryCommand() *cobra.Command {
	var asJSON bool
	var plugin string
	c := &cobra.Command{
		Use:   "query",
		Short: "Show the registered plugins",
		Long: `Shows what is registered in the registry (default /etc/op-dbus/plugins), and with --plugin NAME the live state that the plugin
looks after: every object that is there, whoever made it. It changes nothing, and starts nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			kind := r.Kinds.For(state.Addr{Node: state.NodeAddr{Type: state.PluginNode}, Kind: "registration"})
			registered, _, err := kind.List(c.Context())
			if err != nil {
				return err
			}
			if plugin != "all" {
				registered = slices.DeleteFunc(registered, func(o state.Object) bool { return o.Key() != plugin })
				if len(registered) == 0 {
					return fmt.Errorf("no plugin %q is registered in %s; opdbus query lists those that are, and opdbus apply registers those of the stages it deploys", plugin, r.Host.Registry)
				}
			}
			type row struct {
				Name         string                    `json:"name"`
				Registration state.Object              `json:"registration"`
				Live         map[string][]state.Object `json:"live,omitempty"`
			}
			rows := make([]row, 0, len(registered))
			for _, o := range registered {
				live, err := a.live(c, r.Host.Root, r.Kinds.Of(o.Key()))
				if err != nil {
					return err
				}
				rows = append(rows, row{o.Key(), o, live})
			}
			if asJSON {
				return a.printJSON(rows)
			}
			var table [][]string
			for _, row := range rows {
				var reg struct{ Version, Provider, Stage string }
				data, err := json.Marshal(row.Registration)
				if err != nil {
					return err
				}
				if err := json.Unmarshal(data, &reg); err != nil {
					return err
				}
				table = append(table, []string{row.Name, reg.Version, reg.Provider, or(reg.Stage, "-"), liveText(row.Live)})
			}
			if plugin != "all" && rows[0].Live != nil {
				return a.liveTable(rows[0].Live)
			}
			if len(table) == 0 {
				fmt.Fprintf(a.err, "No plugin is registered in %s.\n", r.Host.Registry)
				return nil
			}
			return render.Table(a.out, []string{"PLUGIN", "VERSION", "PROVIDER", "STAGE", "LIVE STATE"}, table)
		},
	}
	c.Flags().StringVar(&plugin, "plugin", "all", "the plugin's `NAME`, or all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// liveTable prints a plugin's live objects, one on a line.
func (a *app) liveTable(live map[string][]state.Object) error {
	var table [][]string
	for _, kind := range slices.Sorted(maps.Keys(live)) {
		for _, o := range live[kind] {
			attrs, err := state.Attributes(o, nil, nil)
			if err != nil {
				return err
			}
			var values []string
			for _, at := range attrs {
				if value := string(at.Value); at.Name != "name" && value != strconv.Quote(o.Key()) && value != "null" {
					values = append(values, at.Name+" "+shorten(value, 60))
				}
			}
			table = append(table, []string{kind, o.Key(), strings.Join(values, ", ")})
		}
	}
	if len(table) == 0 {
		fmt.Fprintln(a.err, "Nothing is there of what the plugin looks after.")
		return nil
	}
	return render.Table(a.out, []string{"KIND", "KEY", "ATTRIBUTES"}, table)
}

// shorten cuts a value that is longer than n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// live lists the live objects of a plugin's kinds; nil when this version has none that can tell.
func (a *app) live(c *cobra.Command, root string, kinds state.Kinds) (map[string][]state.Object, error) {
	var live map[string][]state.Object
	for _, k := range kinds {
		if k.Live && root != "" { // no service is spoken to
			continue
		}
		objects, ok, err := k.List(c.Context())
		if err != nil {
			return nil, err
		}
		if ok {
			if live == nil {
				live = map[string][]state.Object{}
			}
			live[k.Name] = objects
		}
	}
	return live, nil
}

func liveText(live map[string][]state.Object) string {
	if live == nil {
		return "this version has no provider for it"
	}
	n := 0
	for _, objects := range live {
		n += len(objects)
	}
	return render.Count(n, "object")
}
