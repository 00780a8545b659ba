package packagekit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// ApplyAll takes packages from wherever they are to where they are to be, with one transaction for all that is installed or replaced and
// one for all that is removed. It looks at what is there, so that it can be made again after a cut.
func (p *packages) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[Package]) error {
	var goals []goal
	for _, c := range changes {
		if c.Before != nil || c.After != nil {
			goals = append(goals, goalOf(c.Addr, c.Before, c.After))
		}
	}
	if len(goals) == 0 {
		return nil
	}
	unsettled := p.kit.dpkg.settle(ctx)
	// What others do to packages is not ours to take back: where nothing is to be done, it does not matter that they are at work.
	var locked *lockedError
	if unsettled != nil && !(errors.As(unsettled, &locked) && locked.others) {
		return unsettled
	}
	all, err := p.survey(ctx, terms(goals))
	if err != nil {
		return errors.Join(unsettled, err)
	}
	w, impossible := all.work(goals)
	if unsettled != nil && (len(w.install) > 0 || len(w.remove) > 0) {
		return unsettled
	}
	if impossible != nil && !slices.ContainsFunc(goals, func(g goal) bool { return g.leaves }) {
		return impossible // nothing has been touched
	}
	steps := []func(context.Context, work) error{p.install, p.remove}
	if w.first {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(ctx, w); err != nil {
			return errors.Join(err, impossible)
		}
	}
	return impossible
}

// Sync brings to disk what dpkg and apt keep of packages; their files dpkg has brought there itself.
func (p *packages) Sync(context.Context, state.Site, []state.ChangeOf[Package]) error {
	t, err := p.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.Sync([]string{dpkgDir + "/status"})
}

func installArgs(flags uint64, ids []string) []any {
	return []any{flags | flagOnlyTrusted | flagAllowDowngrade, ids}
}

func removeArgs(flags uint64, ids []string, unneeded bool) []any {
	const dependents = true // the plan has told which these are
	return []any{flags | flagOnlyTrusted, ids, dependents, unneeded}
}

// install installs. PackageKit finishes what is unfinished on the way.
func (p *packages) install(ctx context.Context, w work) error {
	if len(w.install) == 0 {
		return nil
	}
	_, err := p.kit.run(ctx, "InstallPackages", installArgs(0, w.install)...)
	return p.failed(ctx, verb("InstallPackages", w.install), err)
}

// remove removes, and with it what had come along and nothing needs any more.
func (p *packages) remove(ctx context.Context, w work) error {
	if len(w.remove) == 0 {
		return nil
	}
	ids := slices.Clone(w.remove)
	if len(w.came) > 0 {
		const unneeded = true
		a, err := p.kit.run(ctx, "RemovePackages", removeArgs(flagSimulate, w.remove, unneeded)...)
		if err != nil {
			return p.failed(ctx, verb("RemovePackages", w.remove), err)
		}
		for _, f := range a.found {
			if f.info == infoRemoving && slices.ContainsFunc(w.came, f.same) && !slices.Contains(ids, f.String()) {
				ids = append(ids, f.String())
			}
		}
	}
	_, err := p.kit.run(ctx, "RemovePackages", removeArgs(0, ids, false)...)
	return p.failed(ctx, verb("RemovePackages", ids), err)
}

// failed says what could not be done, and what it has left in between.
func (p *packages) failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("cannot %s: %w", what, err)
	// PackageKit may have ended without dpkg. Who takes back what was done here begins when dpkg is where it stays.
	if busy := p.kit.dpkg.rest(context.WithoutCancel(ctx), dpkgLock); busy != nil {
		return errors.Join(err, busy)
	}
	unfinished, look := p.kit.dpkg.unfinished()
	if look != nil || len(unfinished) == 0 {
		return err
	}
	var left []string
	for name, state := range unfinished {
		left = append(left, name+" "+state)
	}
	slices.Sort(left)
	return fmt.Errorf("%w. Unfinished: %s", err, strings.Join(left, ", "))
}

// verb says what a transaction does with packages.
func verb(method string, ids []string) string {
	does := "install "
	if method == "RemovePackages" {
		does = "remove "
	}
	return does + strings.Join(words(ids), ", ")
}
