package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/opdbus/opdbus/reconciler"
	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/planfile"
)

// A savedPlan is one that is applied.
type savedPlan struct {
	*planfile.Sealed
	id string
}

// isPlanFile says whether a command's first argument is a file rather than a configuration's directory.
func isPlanFile(args []string) bool {
	if len(args) == 0 {
		return false
	}
	info, err := os.Stat(args[0])
	return err == nil && !info.IsDir() && !isDocument(args[0])
}

// applySaved applies a saved plan, which is all that it needs. A configuration, where one is given, has to be the plan's.
func (a *app) applySaved(c *cobra.Command, args []string, f *applyFlags) error {
	ctx := c.Context()
	if err := f.checkSaved(len(args) > 1); err != nil {
		return err
	}
	file, err := planfile.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	// The head is believed only as to where a key may be that proves it.
	r, err := a.reconciler(&state.Config{Settings: state.Settings{Store: file.Head.Store, Registry: file.Head.Registry}})
	if err != nil {
		return err
	}
	if file.Head.Host == r.MachineID { // another host may have no store at all
		if r.Key, err = trustedKey(r); err != nil {
			return err
		}
	}
	here := planfile.Here{Host: r.MachineID, Store: r.Host.Store, Opdbus: a.version, Key: r.Key, Now: time.Now()}
	if why := file.Head.Refuse(here); why != "" {
		return &reconciler.StaleError{Why: why}
	}
	sealed, err := file.Unseal(r.Key, r.Kinds, r.Store.Content())
	if err != nil {
		return err
	}
	if len(args) > 1 {
		if err := a.ofConfiguration(ctx, args[1], f, sealed); err != nil {
			return err
		}
	}
	if _, err := a.recoverFirst(ctx, r, f.lockTimeout); err != nil {
		return err
	}
	f.saved = &savedPlan{sealed, file.Head.ID}
	if err := f.saved.unused(r); err != nil {
		return err
	}
	if !sealed.Plan.Empty() {
		return a.execute(ctx, r, sealed.Plan, &f.runFlags, commandLine(c, args))
	}
	if _, err := r.Apply(ctx, sealed.Plan, reconciler.ApplyOptions{}); err != nil { // begins no run, and refuses a stale plan
		return err
	}
	return a.showFile(file, f.runFlags.json, f.runFlags.verbose)
}

// checkSaved refuses what a saved plan says already.
func (f *applyFlags) checkSaved(configured bool) error {
	switch {
	case f.destroy:
		return errors.New("a saved plan says what is destroyed; plan --destroy --out FILE saves one that destroys everything")
	case len(f.targets)+len(f.excludes)+len(f.replaces) > 0:
		return errors.New("a saved plan says what is changed; give --target, --exclude and --replace to plan --out FILE")
	case len(f.vars)+len(f.varFiles)+len(f.allowSource) > 0 && !configured:
		return errors.New("a saved plan is applied without its configuration; --var, --var-file and --allow-source go with opdbus apply FILE DIR, which compares the two")
	}
	return nil
}

// trustedKey is the store's key, which nobody else may know or choose: a plan that it seals is believed.
func trustedKey(r *reconciler.Reconciler) ([]byte, error) {
	if err := ready(r); err != nil {
		return nil, err
	}
	info, err := os.Lstat(r.Store.Key())
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s may be known to others than its owner, or is not root's, so that anybody could have sealed the plan; make it root's with mode 0600, if it is the store's own", r.Store.Key())
	}
	return secretKey(r)
}

// ofConfiguration refuses a plan of another configuration than the one given.
func (a *app) ofConfiguration(ctx context.Context, given string, f *applyFlags, saved *planfile.Sealed) error {
	if saved.Plan.Rollback != "" {
		return errors.New("the saved plan takes back former runs and is of no configuration; leave out " + given)
	}
	dir, err := f.source([]string{given})
	if err != nil {
		return err
	}
	_, config, files, diags, err := a.prepare(ctx, dir, &f.loadFlags)
	if err := errors.Join(err, a.diagnose(files, diags)); err != nil {
		return err
	}
	wanted, err := planfile.Wanted(config.Nodes)
	if err != nil {
		return err
	}
	switch {
	case config.Digest != saved.Plan.Config:
		return &reconciler.StaleError{Why: fmt.Sprintf("the plan was made of another configuration than the one that is in %s now, or with other variables; make a new plan", given)}
	case wanted != saved.Wanted:
		return &reconciler.StaleError{Why: fmt.Sprintf("the files that the configuration in %s deploys have changed since the plan was made; make a new plan", given)}
	}
	return nil
}

// unused refuses a plan that was applied, whatever became of that.
func (s *savedPlan) unused(r *reconciler.Reconciler) error {
	run, err := r.AppliedBy(s.id, s.Plan.Run)
	if err != nil {
		return err
	}
	if run > 0 {
		return &reconciler.StaleError{Why: fmt.Sprintf("the plan was used already, by run %d, and a saved plan is applied once; make a new plan", run)}
	}
	return nil
}

// place puts what the plan's objects are made from into the store, under the lock, and sees that there is room for both.
func (s *savedPlan) place(r *reconciler.Reconciler) error {
	if err := s.unused(r); err != nil {
		return err
	}
	if err := s.Extract(); err != nil {
		return err
	}
	return r.Room(s.Plan)
}

// dropContent removes what a saved plan's objects were made from. Whoever takes the lock does, as one who was killed did not.
func (a *app) dropContent(r *reconciler.Reconciler) {
	if !leftContent(r) {
		return
	}
	if err := os.RemoveAll(r.Store.Content()); err != nil {
		a.log.Warn("cannot remove what a saved plan left in the store", "error", err)
	}
}

// tidy removes what an apply of a saved plan left that was killed before its run began.
func (a *app) tidy(ctx context.Context, r *reconciler.Reconciler, timeout time.Duration) error {
	if !leftContent(r) {
		return nil
	}
	lock, err := a.lock(ctx, r, "opdbus recover", timeout)
	if err != nil {
		return err
	}
	a.unlock(lock)
	return nil
}

func leftContent(r *reconciler.Reconciler) bool {
	_, err := os.Lstat(r.Store.Content())
	return err == nil
}
