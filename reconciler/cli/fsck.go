package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state/store"
)

func (a *app) fsckCommand() *cobra.Command {
	var repair, asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Look through the store for what is damaged, lost or left over",
		Long: `Looks through the store and changes nothing: are the ledger, the journals and the snapshots' records whole, do they agree with each other
and with the subvolumes that are there, has the last run ended, is anything left over. It says what is lost by what is damaged. Exits with 1
when there is a problem; what is only left over, or only to be known, is none.

--repair mends what loses nothing, or only what was lost already: leftovers and caches are deleted, damaged journals of runs that have ended
are set aside (kept, and not counted any more), and a damaged ledger is made anew from the journals. What else is wrong takes a person, and
is said.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			look := r.Fsck
			if repair {
				if err := privileged("fsck --repair"); err != nil {
					return err
				}
				if s, err := store.Find(r.Host); err != nil {
					return err
				} else if err := s.Writable(); err != nil { // what is missing in it is a finding
					return err
				}
				lock, err := a.lock(c.Context(), r, commandLine(c, args), timeout)
				if err != nil {
					return err
				}
				defer a.unlock(lock)
				look = r.Repair
			}
			return a.fsck(c.Context(), look, asJSON)
		},
	}
	c.Flags().BoolVar(&repair, "repair", false, "mend what can be mended without losing anything")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().DurationVar(&timeout, "lock-timeout", 0, "with --repair, wait this long for a run to end")
	return c
}

// fsck looks through the store and prints what is found there.
func (a *app) fsck(ctx context.Context, look func(context.Context) (*reconciler.Fsck, error), asJSON bool) error {
	found, err := look(ctx)
	if err != nil {
		return err
	}
	problems := found.Count(reconciler.Problem)
	if asJSON {
		if err := a.printJSON(struct {
			OK bool `json:"ok"`
			*reconciler.Fsck
		}{problems == 0, found}); err != nil {
			return err
		}
	} else {
		for _, f := range found.Findings {
			fmt.Fprintln(a.out, a.findingText(f))
		}
		fmt.Fprintln(a.out, fsckSummary(found))
	}
	if problems > 0 {
		return exit(exitError)
	}
	return nil
}

func (a *app) findingText(f reconciler.FsckFinding) string {
	color := map[string]string{reconciler.Problem: red, reconciler.Leftover: yellow}[f.Severity]
	head := f.Severity
	if f.Repaired {
		head, color = "repaired "+f.Severity, green
	}
	lines := []string{a.paint(a.out, or(color, bold), head) + " " + render.Clean(f.Place+": "+f.What)}
	for _, l := range []struct{ label, text string }{
		{"lost", f.Lost}, {"remedy", f.Remedy}, {"with --repair, it", f.Repair}, {"not repaired", f.Error},
	} {
		switch {
		case l.text == "":
		case l.text == f.Repair && f.Repaired:
			lines = append(lines, "  it "+render.Clean(l.text))
		default:
			lines = append(lines, "  "+l.label+colon(l.label)+render.Clean(l.text))
		}
	}
	return strings.Join(lines, "\n")
}

// colon stands behind a label that is no sentence's beginning.
func colon(label string) string {
	if strings.HasSuffix(label, " it") {
		return " "
	}
	return ": "
}

// fsckSummary counts what was looked at and what was found.
func fsckSummary(f *reconciler.Fsck) string {
	checked := fmt.Sprintf("%s, %s and %s", render.Count(f.Checked.Runs, "run"), render.Count(f.Checked.Nodes, "node"), render.Count(f.Checked.Snapshots, "snapshot"))
	var counts []string
	repaired := 0
	for _, x := range f.Findings {
		if x.Repaired {
			repaired++
		}
	}
	for _, c := range []struct {
		n    int
		what string
	}{{f.Count(reconciler.Problem), "problem"}, {f.Count(reconciler.Leftover), "leftover"}, {f.Count(reconciler.Note), "note"}} {
		if c.n > 0 {
			counts = append(counts, render.Count(c.n, c.what))
		}
	}
	found := "nothing is wrong"
	if len(counts) > 0 {
		found = strings.Join(counts, ", ")
	}
	if repaired > 0 {
		found = fmt.Sprintf("%d repaired; ", repaired) + found
	}
	return fmt.Sprintf("Looked at %s: %s.", checked, found)
}
