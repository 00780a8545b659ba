package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/reconciler/render"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// planFlags are plan's and apply's.
type planFlags struct {
	loadFlags
	targets, excludes, replaces []string
	destroy, json, verbose      bool
}

func (p *planFlags) add(a *app, c *cobra.Command) {
	f := c.Flags()
	p.loadFlags.add(f)
	f.StringArrayVar(&p.targets, "target", nil, "plan this node or object and what it needs only: `ADDRESS` (repeatable)")
	f.StringArrayVar(&p.excludes, "exclude", nil, "leave out this node, with what needs it, or this object: `ADDRESS` (repeatable)")
	f.StringArrayVar(&p.replaces, "replace", nil, "delete this node's objects, or this object, and make them again: `ADDRESS` (repeatable)")
	for _, flag := range []string{"target", "exclude", "replace"} {
		_ = c.RegisterFlagCompletionFunc(flag, a.completeAddrs) // fails for an unknown flag only
	}
	f.BoolVar(&p.json, "json", false, "print JSON")
	f.BoolVarP(&p.verbose, "verbose", "v", false, "list every change, however many are alike")
}

func (p *planFlags) options() (o reconciler.PlanOptions, err error) {
	o.Destroy = p.destroy
	for _, l := range []struct {
		flag string
		from []string
		into *[]state.Addr
	}{{"target", p.targets, &o.Targets}, {"exclude", p.excludes, &o.Excludes}, {"replace", p.replaces, &o.Replaces}} {
		for _, s := range l.from {
			addr, err := state.ParseAddr(s)
			if err != nil {
				return o, fmt.Errorf("--%s: %w", l.flag, err)
			}
			*l.into = append(*l.into, addr)
		}
	}
	return o, nil
}

// plan reads a configuration and plans it. It changes nothing itself; before is called, where it is not nil, when the
// configuration is known to be good, and says whether it has changed the ledger.
func (a *app) plan(ctx context.Context, dir string, p *planFlags, before func(*reconciler.Reconciler) (changed bool, err error)) (*reconciler.Reconciler, *state.Plan, error) {
	options, err := p.options()
	if err != nil {
		return nil, nil, err
	}
	hugeHeap()
	read := a.readAhead()
	at := make(chan string, 1)
	go func() { at <- commit(ctx, dir) }()
	r, config, files, diags, err := a.prepare(ctx, dir, &p.loadFlags)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return nil, nil, err
	}
	if before != nil {
		changed, err := before(r)
		if err != nil {
			return nil, nil, err
		}
		if changed {
			read = owned
		}
	}
	l, err := read(r)
	if err != nil {
		return nil, nil, err
	}
	if r.Key, err = secretKey(r); err != nil {
		return nil, nil, err
	}
	plan, diags, err := r.Plan(ctx, config, l, options)
	if err != nil {
		return nil, nil, err
	}
	if err := a.diagnose(files, diags); err != nil {
		return nil, nil, err
	}
	plan.Commit = <-at
	return r, plan, nil
}

// readAhead begins to read the ledger while the configuration is not known yet, which may name another store: both take a
// while when there are many objects. What it returns waits for that, or reads the ledger that is meant.
func (a *app) readAhead() func(*reconciler.Reconciler) (*ledger.Ledger, error) {
	guess, err := a.reconciler(nil)
	if err != nil {
		return owned
	}
	var l *ledger.Ledger
	done := make(chan struct{})
	go func() {
		defer close(done)
		l, err = owned(guess)
	}()
	return func(r *reconciler.Reconciler) (*ledger.Ledger, error) {
		<-done
		if r.Store.Dir() != guess.Store.Dir() {
			return owned(r)
		}
		return l, err
	}
}

// showPlan prints a plan.
func (a *app) showPlan(r *reconciler.Reconciler, plan *state.Plan, asJSON, verbose bool) error {
	o := a.renderOptions(r, verbose)
	if asJSON {
		return render.JSON(a.out, plan, o)
	}
	return render.Text(a.out, plan, o)
}

// commit is the Git commit that dir is at, marked when it has other contents; empty where there is no Git.
func commit(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	at := strings.TrimSpace(string(out))
	changed, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain", "--", ".").Output()
	if err != nil {
		return ""
	}
	if len(changed) > 0 {
		at += "-dirty"
	}
	return at
}
