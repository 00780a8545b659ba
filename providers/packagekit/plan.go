package packagekit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A note is what a plan says of a package besides.
type note struct {
	disturbs []string
	stays    []string // in words: what goes along and does not come back when the change is taken back
}

// Owns says whether what is there is what opdbus made of the package: anything but what it found.
func (p *packages) Owns(made *Package, live Package) bool {
	return made != nil && (made.Found == nil || !live.against(*made.Found, *made).sameState(*made.Found))
}

// against is live in the attributes in which it can be compared with what was found.
func (p Package) against(found, made Package) Package {
	if found.Version == nil {
		p.Version = nil
	}
	// What was the latest version when it was found may not be it any more, while it is the same still.
	if made.picky() && p.there().version == found.there().version && p.present() && found.present() {
		p.Ensure = found.Ensure
	}
	if !made.picky() && p.present() && found.present() {
		p.Ensure = found.Ensure
	}
	return p
}

// Claim takes the package as it is found, which is what it goes back to.
func (p *packages) Claim(want, live Package) (Package, error) {
	want.Found = live.plain()
	return want, nil
}

// PlanAll keeps what was found and what came along, refuses what cannot be installed, and has PackageKit simulate what is to be done, so
// that the plan says what else comes and goes: for each node one transaction for what is installed and one for what is removed.
func (p *packages) PlanAll(ctx context.Context, items []state.Planned[Package]) error {
	var goals []goal
	at := map[string]int{} // which item a goal is of
	for i, it := range items {
		if it.Want != nil && it.Made != nil {
			want := items[i].Want
			want.Came, want.Displaced, want.Dependents, want.Found = it.Made.Came, it.Made.Displaced, it.Made.Dependents, it.Made.Found
			// From now on it matters which version is there, and what that is now was there before.
			if f := it.Made.Found; f != nil && f.present() && !it.Made.picky() && it.Want.picky() && it.Live != nil {
				want.Found = it.Live.plain()
			}
		}
		if it.Want != nil && it.Live != nil && it.Want.sameState(*it.Live) || it.Want == nil && (it.Live == nil || !p.Owns(it.Made, *it.Live)) {
			continue
		}
		goals = append(goals, goalOf(it.Addr, it.Live, it.Want))
		at[it.Want.or(it.Made).Name] = i
	}
	p.forget()
	if len(goals) == 0 {
		return nil
	}
	all, err := p.survey(ctx, terms(goals))
	if err != nil {
		return err
	}
	want := func(name string) *Package {
		if i, ok := at[name]; ok {
			return items[i].Want
		}
		return nil
	}
	for from := 0; from < len(goals); {
		to := from + 1
		for to < len(goals) && goals[to].addr.Node == goals[from].addr.Node {
			to++
		}
		if err := p.simulate(ctx, all, goals[from:to], want); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (p *Package) or(other *Package) *Package {
	if p != nil {
		return p
	}
	return other
}

// simulate finds out what else one node's changes do, and notes it.
func (p *packages) simulate(ctx context.Context, all survey, goals []goal, want func(name string) *Package) error {
	w, err := all.work(goals)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		ids    []string
		method string
		args   func(ids []string) []any
	}{
		{w.install, "InstallPackages", func(ids []string) []any { return installArgs(flagSimulate, ids) }},
		{w.remove, "RemovePackages", func(ids []string) []any { return removeArgs(flagSimulate, ids, false) }},
	} {
		if len(part.ids) == 0 {
			continue
		}
		a, err := p.kit.run(ctx, part.method, part.args(part.ids)...)
		if err != nil {
			return fmt.Errorf("cannot %s: %w", verb(part.method, part.ids), err)
		}
		along := a.along(part.ids)
		single := len(along.took) == 0 || len(part.ids) == 1
		for _, one := range part.ids {
			these := along
			if !single { // what has to go has to be told of whom, so that it comes back with that
				if a, err = p.kit.run(ctx, part.method, part.args([]string{one})...); err != nil {
					return fmt.Errorf("cannot %s: %w", verb(part.method, []string{one}), err)
				}
				these = a.along(part.ids)
			}
			i, _ := parseID(one)
			p.note(i, part.method, all.of(i.name), these, want(i.name))
		}
	}
	return nil
}

// note notes what comes along with one package, in what is wanted and for what the plan says.
func (p *packages) note(i id, method string, s *stock, along along, want *Package) {
	n := note{disturbs: along.words}
	if method == "InstallPackages" && s.installed != nil && !s.installed.same(i) {
		n.disturbs = append([]string{fmt.Sprintf("replaces %s by %s", s.installed.words(), i.version)}, n.disturbs...)
	}
	switch {
	case want == nil:
		n.stays = words(along.took)
	case method == "RemovePackages":
		want.Dependents = along.took
	case s.installed == nil && s.unfinished == "":
		want.Came, want.Displaced = union(want.Came, along.came), along.took
	default:
		want.Came, want.Displaced = union(want.Came, along.came), union(want.Displaced, along.took)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes[i.name] = n
}

func (p *packages) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = map[string]note{}
}

func (p *packages) noted(before, after *Package) note {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := after.or(before); o != nil {
		return p.notes[o.Name]
	}
	return note{}
}

// An along is what a transaction does besides what it was asked for.
type along struct {
	came, took []string // ids
	words      []string // all of it, for the plan
}

// along sorts what a simulation has told.
func (a *answer) along(ids []string) (al along) {
	for _, f := range a.found {
		if slices.ContainsFunc(ids, func(text string) bool { i, _ := parseID(text); return i.name == f.name }) {
			continue
		}
		switch f.info {
		case infoInstalling:
			al.came = append(al.came, f.kept())
			al.words = append(al.words, "also installs "+f.words())
		case infoRemoving, infoObsoleting:
			al.took = append(al.took, f.kept())
			al.words = append(al.words, "also removes "+f.words())
		case infoUpdating, infoDowngrading:
			al.words = append(al.words, "also replaces "+f.name+" by its version "+f.version+", which stays when this is taken back")
		}
	}
	return al
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}

// words are the packages that ids name, for people.
func words(ids []string) []string {
	all := make([]string, len(ids))
	for n, text := range ids {
		i, _ := parseID(text)
		all[n] = i.words()
	}
	return all
}

// Disturbs says what comes and goes besides.
func (p *packages) Disturbs(before, after *Package) []string { return p.noted(before, after).disturbs }

// Irreversible says that what goes cannot be had any more.
func (p *packages) Irreversible(before, after *Package) string {
	var reasons []string
	if before != nil && before.lost && before.Installed != "" && before.leaves(after) {
		reasons = append(reasons, before.there().words()+" is in no repository that is known")
	}
	if stays := p.noted(before, after).stays; len(stays) > 0 {
		reasons = append(reasons, "taking it back does not bring back what else goes: "+strings.Join(stays, ", "))
	}
	return strings.Join(reasons, "; ")
}

// leaves says that the version which is there goes.
func (p Package) leaves(after *Package) bool {
	switch {
	case after == nil:
		return p.Found == nil || p.Found.there().version != p.there().version
	case !after.present():
		return true
	case after.Version != nil:
		return *after.Version != p.there().version
	}
	return after.Ensure == latest && p.Ensure != latest
}
