package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

func (a *app) driftCommand() *cobra.Command {
	var targets []string
	var asJSON, verbose, watch bool
	c := &cobra.Command{
		Use:   "drift",
		Short: "Show what somebody else changed",
		Long: `Compares everything that opdbus made with the host, and shows what differs: each attribute as opdbus made it and as it is
now, and since when, as far as the host can tell. It needs no configuration and changes nothing. Exits with 2 when something differs.

With --watch it goes on: it listens to the host, looks again at what something happens to, and prints a line for each object that
drifts, drifts otherwise, or is as it was made again (with --json, an object a line). What a run changes is no drift. Ctrl-C ends it,
with 2 when something differs by then, and 0 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := a.reconciler(nil)
			if err != nil {
				return err
			}
			l, err := owned(r)
			if err != nil {
				return err
			}
			addrs, err := ownedTargets(l, targets)
			if err != nil {
				return err
			}
			if r.Key, err = secretKey(r); err != nil {
				return err
			}
			if s, err := openStore(r); err == nil && s == nil && !asJSON && !watch {
				fmt.Fprintf(a.out, "There is no store %s yet, and so nothing that opdbus made.\n", r.Host.Store)
				return nil
			}
			if watch {
				return a.watch(c.Context(), r, addrs, asJSON, verbose)
			}
			objects, err := r.Owned(c.Context(), l, addrs)
			if err != nil {
				return err
			}
			return a.drift(c.Context(), r, objects, asJSON, verbose)
		},
	}
	c.AddCommand(a.driftAcceptCommand())
	c.Flags().StringArrayVar(&targets, "target", nil, "look at this node or object only: `ADDRESS` (repeatable)")
	_ = c.RegisterFlagCompletionFunc("target", a.completeAddrs) // fails for an unknown flag only
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&watch, "watch", false, "go on, and tell what changes")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every difference, however many are alike")
	return c
}

// drift prints which of the objects differ, and ends the program with 2 when some do.
func (a *app) drift(ctx context.Context, r *reconciler.Reconciler, objects []reconciler.Owned, asJSON, verbose bool) error {
	n, err := a.printDrift(ctx, r, objects, asJSON, verbose)
	if err == nil && n > 0 {
		return exit(exitDiffers)
	}
	return err
}

// printDrift prints which of the objects differ, and counts them.
func (a *app) printDrift(ctx context.Context, r *reconciler.Reconciler, objects []reconciler.Owned, asJSON, verbose bool) (int, error) {
	differ := drifted(objects)
	since, err := r.Since(ctx, differ)
	if err != nil {
		return 0, err
	}
	rows := []driftRow{}
	var changes []state.Change
	for i, o := range differ {
		row, err := newDriftRow(o, since[i], r.Key)
		if err != nil {
			return 0, err
		}
		rows = append(rows, row)
		change := o.Drift()
		change.Cause = "" // all of them are drift
		change.Note = row.note()
		changes = append(changes, change)
	}
	if asJSON {
		if err := a.printJSON(map[string]any{"objects": len(objects), "drift": rows}); err != nil {
			return 0, err
		}
	} else if len(rows) == 0 {
		fmt.Fprintf(a.out, "No drift: %s as opdbus made %s.\n", isAre(len(objects)), itThem(len(objects)))
	} else {
		fmt.Fprintf(a.out, "%d of %s no longer as opdbus made them:\n\n", len(rows), isAre(len(objects)))
		if err := render.Changes(a.out, changes, a.renderOptions(r, verbose)); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// drifted are those of the objects that differ.
func drifted(objects []reconciler.Owned) []reconciler.Owned {
	return slices.DeleteFunc(slices.Clone(objects), func(o reconciler.Owned) bool { return !o.Drifted() })
}

// A driftRow is an object that differs.
type driftRow struct {
	Addr       state.Addr       `json:"address"`
	Run        int              `json:"run"` // the last that changed its node
	Missing    bool             `json:"missing"`
	Since      time.Time        `json:"since,omitzero"` // zero: nothing tells
	Attributes []driftAttribute `json:"attributes"`     // none of what is missing
}

type driftAttribute struct {
	Name      string          `json:"name"`
	Made      json.RawMessage `json:"made"` // null where it has no such attribute
	Live      json.RawMessage `json:"live"`
	Sensitive bool            `json:"sensitive,omitempty"`
}

// note is what a person is told besides how it differs. The clock is the reader's own, as in ls.
func (row driftRow) note() string {
	var parts []string
	if row.Missing {
		parts = append(parts, "missing")
	}
	if !row.Since.IsZero() {
		parts = append(parts, "since "+row.Since.Local().Format("2006-01-02 15:04"))
	}
	return strings.Join(parts, " ")
}

func newDriftRow(o reconciler.Owned, since time.Time, key []byte) (driftRow, error) {
	row := driftRow{Addr: o.Addr, Run: o.Run, Missing: o.Live == nil, Since: since.UTC().Truncate(time.Second), Attributes: []driftAttribute{}}
	if row.Missing {
		return row, nil
	}
	differences, err := o.Drift().Differences(key)
	if err != nil {
		return row, fmt.Errorf("%s: %w", o.Addr, err)
	}
	for _, d := range differences {
		row.Attributes = append(row.Attributes, driftAttribute{d.Name, d.Before, d.After, d.Sensitive})
	}
	return row, nil
}

// ownedTargets reads addresses, each of which has to name something that is owned.
func ownedTargets(l *ledger.Ledger, targets []string) ([]state.Addr, error) {
	var addrs []state.Addr
	for _, t := range targets {
		addr, err := state.ParseAddr(t)
		if err != nil {
			return nil, fmt.Errorf("--target: %w", err)
		}
		if node := l.Node(addr.Node); node == nil || !addr.IsNode() && node.Made(addr.Local()) == nil {
			return nil, fmt.Errorf("opdbus owns nothing at %s; opdbus state list shows what it owns", addr)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// renderOptions are those of this terminal.
func (a *app) renderOptions(r *reconciler.Reconciler, verbose bool) render.Options {
	return render.Options{Color: a.colored(a.out), Width: width(a.out), Verbose: verbose, Key: r.Key, Kinds: r.Kinds}
}

func isAre(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return render.Count(n, "object") + " are"
}

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
