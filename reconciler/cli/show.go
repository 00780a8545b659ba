package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
)

func (a *app) showCommand() *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "show RUN | PLANFILE",
		Short: "Show what a run changed, or a saved plan",
		Long: `Shows what a run changed of each node, as its plan did, and how it ended and why. It is told by the run's journal; neither
a configuration nor the host is looked at.

PLANFILE is a plan that plan --out saved. It is shown as plan showed it, on any machine, without root, also when it can no longer be
applied. A file that is called like a number is ./NUMBER.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil {
				if _, err := os.Stat(args[0]); errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("%q is neither the number of a run nor a saved plan; opdbus history lists the runs", args[0])
				}
				return a.showSaved(args[0], asJSON, verbose)
			}
			if number < 1 {
				return fmt.Errorf("%d is not the number of a run; opdbus history lists the runs", number)
			}
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			l, err := owned(r)
			if err != nil {
				return err
			}
			if r.Key, err = secretKey(r); err != nil {
				return err
			}
			past, steps, err := r.Retell(number, l)
			if err != nil {
				return err
			}
			if asJSON {
				return a.showJSON(past, steps, r.Key)
			}
			return a.showText(r, past, steps, verbose)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every change, however many are alike")
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		names, directive := a.completeRuns(c, args, begun)
		if len(args) > 0 {
			return names, directive
		}
		return names, directive &^ cobra.ShellCompDirectiveNoFileComp // files too
	}
	return c
}

func (a *app) showText(r *reconciler.Reconciler, past *reconciler.PastRun, steps []reconciler.PastStep, verbose bool) error {
	rows := [][]string{{"run", fmt.Sprint(past.Run)}, {"command", past.Command}, {"started", past.Started.Format(time.RFC3339)}}
	if past.Ended != nil {
		rows = append(rows, []string{"ended", past.Ended.Format(time.RFC3339)})
	}
	if past.Commit != "" {
		rows = append(rows, []string{"commit", past.Commit})
	}
	if past.Subvolume != "" {
		rows = append(rows, []string{"restored", past.Subvolume + " " + past.Rollback})
	} else {
		rows = append(rows, []string{"plan", past.Digest})
	}
	rows = append(rows, []string{"outcome", outcomeText(past)})
	if past.Error != "" {
		rows = append(rows, []string{"error", past.Error})
	}
	if err := render.Table(a.out, nil, rows); err != nil {
		return err
	}
	for _, s := range steps {
		fmt.Fprintln(a.out)
		if err := render.Node(a.out, s.Node, stepText(s), s.Changes, a.renderOptions(r, verbose)); err != nil {
			return err
		}
	}
	return nil
}

// outcomeText is a run's outcome and what else has to be known of it.
func outcomeText(past *reconciler.PastRun) string {
	s := past.Outcome
	if left := past.Planned - len(past.Nodes); left > 0 {
		s += fmt.Sprintf("; %s of its plan not begun", render.Count(left, "node"))
	}
	if past.Ended == nil {
		s += "; unless it is still going on, opdbus recover finishes it, backwards"
	}
	return s
}

func stepText(s reconciler.PastStep) string {
	text := s.Outcome
	if s.Deleted {
		text += ", removed with its subvolume"
	}
	if s.Post != "" {
		text += ", snapshots " + s.Pre + ", " + s.Post
	}
	return text
}

func (a *app) showJSON(past *reconciler.PastRun, steps []reconciler.PastStep, key []byte) error {
	type step struct {
		Node    state.NodeAddr `json:"address"`
		Outcome string         `json:"outcome"`
		Pre     string         `json:"pre"`
		Post    string         `json:"post,omitempty"`
		Changes []changeRow    `json:"changes"`
	}
	run := struct {
		reconciler.PastRun
		Nodes []step `json:"nodes"` // in place of the run's own, which do not have the changes
	}{PastRun: *past, Nodes: []step{}}
	for _, s := range steps {
		rows, err := changeRows(s.Changes, key)
		if err != nil {
			return err
		}
		run.Nodes = append(run.Nodes, step{s.Node, s.Outcome, s.Pre, s.Post, rows})
	}
	return a.printJSON(run)
}

// A changeRow is a change with what is secret in it masked.
type changeRow struct {
	Addr   state.Addr      `json:"address"`
	Action state.Action    `json:"action"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

func changeRows(changes []state.Change, key []byte) ([]changeRow, error) {
	rows := make([]changeRow, 0, len(changes))
	for _, c := range changes {
		before, after, err := c.Masked(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Addr, err)
		}
		rows = append(rows, changeRow{c.Addr, c.Action(), before, after})
	}
	return rows, nil
}
