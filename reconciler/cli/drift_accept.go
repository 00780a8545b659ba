package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/desired"
	"github.com/opdbus/opdbus/state/durable"
)

func (a *app) driftAcceptCommand() *cobra.Command {
	var l loadFlags
	var dryRun, autoApprove bool
	c := &cobra.Command{
		Use:   "accept ADDRESS [DIR]",
		Short: "Write what somebody else changed into the configuration",
		Long: `Takes over what was changed on the host: the value that an object has there is written into the configuration in DIR (default: the
current directory), into the block that declares the object, or into the file that it is a copy of. ADDRESS is an object, or a node: all of it
that drifted. It shows the difference and asks. The host is not touched; the next apply only records what is there.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := state.ParseAddr(args[0]); err != nil {
				return err
			}
			dir, err := directory(args[1:])
			if err != nil {
				return err
			}
			return a.driftAccept(c.Context(), args[0], dir, &l, dryRun, autoApprove)
		},
	}
	l.add(c.Flags())
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be written, and write nothing")
	c.Flags().BoolVar(&autoApprove, "auto-approve", false, "do not ask for confirmation")
	c.ValidArgsFunction = only(1, a.completeAddrs)
	return c
}

func (a *app) driftAccept(ctx context.Context, address, dir string, l *loadFlags, dryRun, autoApprove bool) error {
	r, config, files, diags, err := a.prepare(ctx, dir, l)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	ledger, err := owned(r)
	if err != nil {
		return err
	}
	targets, err := ownedTargets(ledger, []string{address})
	if err != nil {
		return err
	}
	accepted, diags, err := r.Accept(ctx, config, ledger, targets)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	if len(accepted) == 0 {
		fmt.Fprintf(a.out, "No drift: %s is as opdbus made it.\n", address)
		return nil
	}
	rewrites, err := a.rewrites(dir, config, files, accepted)
	if err != nil {
		return err
	}
	if len(rewrites) == 0 {
		fmt.Fprintln(a.out, "The configuration says so already; the next apply records it.")
		return nil
	}
	// What is written has to be right, so that it is read and planned before it is.
	var options reconciler.PlanOptions
	before, diags, err := r.Plan(ctx, config, ledger, options)
	if err == nil && diags.HasErrors() { // a conflict elsewhere, say, is no reason to leave this drift
		for _, acc := range accepted {
			options.Targets = append(options.Targets, acc.Addr)
		}
		before, diags, err = r.Plan(ctx, config, ledger, options)
	}
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	l.overlay = map[string][]byte{}
	for _, w := range rewrites {
		l.overlay[w.path] = w.after
	}
	edited, config, files, diags, err := a.prepare(ctx, dir, l)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	after, diags, err := edited.Plan(ctx, config, ledger, options)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	if err := a.diagnose(files, edited.Unaccepted(accepted, before, after)); err != nil {
		return err
	}
	for _, w := range rewrites {
		fmt.Fprint(a.out, a.printable(w.diff()))
	}
	if dryRun {
		return nil
	}
	if !autoApprove {
		if err := a.confirm(ctx, "Shall opdbus write this into the configuration?"); err != nil {
			return err
		}
	}
	for _, w := range rewrites {
		if err := w.write(); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "\nAccepted %s. The next apply records it and changes nothing of it on the host.\n", render.Count(len(accepted), "object"))
	return nil
}

// A rewrite is a file of the configuration that is to hold something else.
type rewrite struct {
	path, shown   string // absolute, and as the user names it
	before, after []byte
}

// rewrites are what has to be written for all that is accepted, by path.
func (a *app) rewrites(dir string, config *state.Config, files *desired.Files, accepted []reconciler.Accepted) ([]rewrite, error) {
	edits := map[string][]desired.Edit{}
	var all []rewrite
	for _, acc := range accepted {
		if len(acc.Set) > 0 {
			edits[acc.Block.File] = append(edits[acc.Block.File], desired.Edit{Block: acc.Block, Set: acc.Set})
		}
		for _, w := range acc.Write {
			before, err := os.ReadFile(w.Path)
			if err != nil {
				return nil, fmt.Errorf("cannot read what %s is made from: %w", acc.Addr, err)
			}
			all = append(all, rewrite{path: w.Path, before: before, after: w.Data})
		}
	}
	var diags state.Diagnostics
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		before := files.Source(name)
		after, wrong := desired.EditFile(before, name, edits[name])
		diags = append(diags, wrong...)
		all = append(all, rewrite{path: filepath.Join(config.Dir, name), before: before, after: after})
	}
	if err := a.diagnose(files, diags); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b rewrite) int { return strings.Compare(a.path, b.path) })
	all = slices.CompactFunc(all, func(a, b rewrite) bool { return a.path == b.path && bytes.Equal(a.after, b.after) })
	for i := range all {
		w := &all[i]
		if i > 0 && w.path == all[i-1].path {
			return nil, fmt.Errorf("%s would have to hold two things at once: what is made from it differs on the host; accept one object only", w.path)
		}
		rel, err := filepath.Rel(config.Dir, w.path)
		if err != nil {
			return nil, err
		}
		w.shown = filepath.Join(dir, rel)
		if info, err := os.Lstat(w.path); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("cannot write %s: it is a link to another place; change by hand what it leads to", w.shown)
		}
	}
	return slices.DeleteFunc(all, func(w rewrite) bool { return bytes.Equal(w.before, w.after) }), nil
}

// diff shows what changes.
func (w rewrite) diff() string {
	text := func(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }
	if !text(w.before) || !text(w.after) {
		return fmt.Sprintf("Binary files old/%s (%s) and new/%s (%s) differ\n", w.shown, render.Count(len(w.before), "byte"), w.shown, render.Count(len(w.after), "byte"))
	}
	return udiff.Unified("old/"+w.shown, "new/"+w.shown, string(w.before), string(w.after))
}

// write writes the file, unless it has changed since it was read. After a cut it is the old one or the new one; several files need
// not be written together, as each that is not says only that there is drift still, which can be accepted again.
func (w rewrite) write() error {
	now, err := os.ReadFile(w.path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, w.before) {
		return fmt.Errorf("%s has been changed in the meantime and is left alone; try once more", w.shown)
	}
	return durable.Rewrite(w.path, w.after)
}

// printable is a text without what a terminal would act on.
func (a *app) printable(s string) string {
	if !isTerminal(a.out) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = render.Clean(cell)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}
