package cli

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/planfile"
)

// saveFlags are those of the commands that save a plan rather than apply it.
type saveFlags struct {
	out      string
	validFor time.Duration
}

func (s *saveFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&s.out, "out", "", "save the plan as `FILE` and change nothing; opdbus apply FILE applies it")
	c.Flags().DurationVar(&s.validFor, "valid-for", 7*24*time.Hour, "how long the saved plan may be applied, such as 1h")
}

func (s *saveFlags) check(c *cobra.Command) error {
	switch {
	case s.out == "" && c.Flags().Changed("valid-for"):
		return errors.New("--valid-for says how long a saved plan may be applied; it goes with --out FILE")
	case s.validFor <= 0:
		return fmt.Errorf("--valid-for must be more than nothing, not %s", s.validFor)
	}
	return nil
}

// savePlan saves a plan as a file, with the JSON that plan --json prints of it.
func (a *app) savePlan(r *reconciler.Reconciler, plan *state.Plan, file string, validFor time.Duration) error {
	var document bytes.Buffer
	if err := render.JSON(&document, plan, a.renderOptions(r, false)); err != nil {
		return err
	}
	created := time.Now()
	err := planfile.Write(file, plan, planfile.Options{
		Opdbus: a.version, Store: r.Host.Store, Registry: r.Host.Registry, Key: r.Key, Document: document.Bytes(), Created: created, Valid: validFor,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "The plan is saved as %s until %s; opdbus apply %[1]s applies it.\n", file, created.Add(validFor).UTC().Format(time.RFC3339))
	return nil
}

// showSaved shows a saved plan as plan did. It looks at nothing but the file.
func (a *app) showSaved(path string, asJSON, verbose bool) error {
	f, err := planfile.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if !asJSON {
		until := "it can be applied once, until"
		if !time.Now().Before(f.Head.Expires) {
			until = "it expired at"
		}
		fmt.Fprintf(a.err, "Saved plan, made at %s; %s %s.\n", f.Head.Created.UTC().Format(time.RFC3339), until, f.Head.Expires.UTC().Format(time.RFC3339))
	}
	return a.showFile(f, asJSON, verbose)
}

// showFile prints what may be shown of a saved plan.
func (a *app) showFile(f *planfile.File, asJSON, verbose bool) error {
	if asJSON {
		document, err := f.Document()
		if err != nil {
			return err
		}
		_, err = a.out.Write(document)
		return err
	}
	kinds := a.kinds(state.Host{})
	plan, err := f.Shown(kinds)
	if err != nil {
		return err
	}
	err = render.Text(a.out, plan, render.Options{Color: a.colored(a.out), Width: width(a.out), Verbose: verbose, Kinds: kinds})
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}
