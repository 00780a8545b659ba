package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
)

func (a *app) historyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "history",
		Short: "List the runs, newest first",
		Long: `Lists the runs that changed the host, or were to: when, by which command, how they ended (applied, taken back, kept,
broken, cut off), which nodes they changed, and the plan's digest and commit. opdbus show RUN shows one of them.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			if _, err := openStore(r); err != nil {
				return err
			}
			past, unreadable, err := r.History()
			if err != nil {
				return err
			}
			for _, u := range unreadable {
				fmt.Fprintf(a.err, "Run %d is not listed: %v\n", u.Run, u.Err)
			}
			if asJSON {
				return a.printJSON(append([]reconciler.PastRun{}, past...))
			}
			if len(past) == 0 {
				fmt.Fprintln(a.err, "There was no run yet.")
				return nil
			}
			var table [][]string
			for _, p := range past {
				table = append(table, []string{fmt.Sprint(p.Run), p.Started.Format(time.RFC3339), p.Command, effectText(p), or(p.Subvolume, nodesText(p.Nodes)), or(shortDigest(p.Digest), "-"), or(p.Commit, "-")})
			}
			return render.Table(a.out, []string{"RUN", "WHEN", "COMMAND", "OUTCOME", "NODES", "PLAN", "COMMIT"}, table)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// effectText is a run's outcome, and whether later runs have taken it back.
func effectText(p reconciler.PastRun) string {
	switch p.RolledBack() {
	case 0:
		return p.Outcome
	case len(p.Nodes):
		return p.Outcome + ", rolled back"
	}
	return p.Outcome + ", partly rolled back"
}

// nodesText lists the first nodes of a run.
func nodesText(nodes []reconciler.PastNode) string {
	const most = 3
	var names []string
	for i, n := range nodes {
		if i == most && len(nodes) > most+1 {
			names = append(names, fmt.Sprintf("and %d more", len(nodes)-most))
			break
		}
		names = append(names, n.Node.String())
	}
	return or(strings.Join(names, ", "), "-")
}

// shortDigest is a digest's first digits, which tell it from others.
func shortDigest(digest string) string {
	const most = len("sha256:") + 12
	return digest[:min(len(digest), most)]
}
