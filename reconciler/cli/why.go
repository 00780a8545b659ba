package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) whyCommand() *cobra.Command {
	var l loadFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "why ADDRESS",
		Short: "Say why opdbus owns something",
		Long: `Says what opdbus last made a node or an object be, which run last changed its node, what depends on it, whether the host
still has it, and, in the directory of a configuration, where it is declared.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			addr, err := state.ParseAddr(args[0])
			if err != nil {
				return err
			}
			config := a.nearby(c.Context(), &l)
			r, err := a.reconciler(config)
			if err != nil {
				return err
			}
			owned, err := owned(r)
			if err != nil {
				return err
			}
			if r.Key, err = secretKey(r); err != nil {
				return err
			}
			why, err := r.Why(c.Context(), config, owned, addr)
			if err != nil {
				return err
			}
			place := ""
			if !why.Declared.IsZero() {
				place = fmt.Sprintf("%s:%d", why.Declared.Relative(config.Dir), why.Declared.Line)
			}
			if asJSON {
				return a.whyJSON(why, place, r.Key)
			}
			switch {
			case config == nil:
				place = "not known: there is no configuration to be read here"
			case place == "":
				place = "no longer, in the configuration here; the next apply of it deletes it"
			}
			return a.whyText(r, why, place)
		},
	}
	l.add(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.ValidArgsFunction = only(1, a.completeAddrs)
	return c
}

// nearby is the configuration in the current directory, prepared; nil when there is none, or it has mistakes, which are no
// reason not to say what is known without it.
func (a *app) nearby(ctx context.Context, l *loadFlags) *state.Config {
	if !hasConfig(".") {
		return nil
	}
	_, config, _, diags, err := a.prepare(ctx, ".", l)
	if err != nil || diags.HasErrors() {
		fmt.Fprintln(a.err, "The configuration in this directory is left aside: it has mistakes, which opdbus validate shows.")
		return nil
	}
	return config
}

func (a *app) whyText(r *reconciler.Reconciler, why *reconciler.Reason, declared string) error {
	rows := [][]string{{"address", why.Addr.String()}}
	add := func(label string, lines ...string) {
		for i, line := range lines {
			if i > 0 {
				label = ""
			}
			rows = append(rows, []string{label, line})
		}
	}
	if why.Addr.IsNode() {
		add("owns", render.Count(len(why.Objects), "object"))
	} else {
		made, err := render.Attributes(why.Objects[0].Made, why.Objects[0].Sensitive, a.renderOptions(r, false))
		if err != nil {
			return err
		}
		add("made", made...)
	}
	add("host", hostText(why.Objects)...)
	add("node changed", changedText(why))
	add("needs", addrsText(why.Needs))
	add("needed by", addrsText(why.NeededBy))
	add("declared", declared)
	return render.Table(a.out, nil, rows)
}

// hostText says what the host still has of the objects.
func hostText(objects []reconciler.Owned) []string {
	const most = 5
	var lines []string
	drifted := 0
	for _, o := range objects {
		if !o.Drifted() {
			continue
		}
		if drifted++; drifted <= most {
			lines = append(lines, o.Addr.Local()+" "+o.Problem())
		}
	}
	switch {
	case drifted == 0:
		return []string{"as it was made"}
	case drifted > most:
		lines = append(lines, fmt.Sprintf("and %d more; opdbus drift lists all", drifted-most))
	}
	return lines
}

func changedText(why *reconciler.Reason) string {
	s := fmt.Sprintf("by run %d", why.Run)
	if c := why.Changed; c != nil {
		s += fmt.Sprintf(", %s, %s", c.Started.Format(time.RFC3339), c.Command)
		if c.Commit != "" {
			s += ", commit " + c.Commit
		}
	}
	return s
}

func addrsText(addrs []state.NodeAddr) string {
	var names []string
	for _, a := range addrs {
		names = append(names, a.String())
	}
	return or(strings.Join(names, ", "), "nothing")
}

func (a *app) whyJSON(why *reconciler.Reason, declared string, key []byte) error {
	type object struct {
		Addr    state.Addr      `json:"address"`
		Made    json.RawMessage `json:"made"`
		Live    json.RawMessage `json:"live"`
		Problem string          `json:"problem,omitempty"`
	}
	objects := make([]object, 0, len(why.Objects))
	for _, o := range why.Objects {
		made, live, err := o.Drift().Masked(key)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Addr, err)
		}
		objects = append(objects, object{o.Addr, made, live, o.Problem()})
	}
	list := func(addrs []state.NodeAddr) []state.NodeAddr { return append([]state.NodeAddr{}, addrs...) }
	return a.printJSON(struct {
		Addr     state.Addr          `json:"address"`
		Run      int                 `json:"run"`
		Changed  *reconciler.PastRun `json:"changed,omitempty"`
		Needs    []state.NodeAddr    `json:"needs"`
		NeededBy []state.NodeAddr    `json:"needed_by"`
		Declared string              `json:"declared,omitempty"`
		Objects  []object            `json:"objects"`
	}{why.Addr, why.Run, why.Changed, list(why.Needs), list(why.NeededBy), declared, objects})
}
