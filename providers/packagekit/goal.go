package packagekit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A goal is what is to become of a package.
type goal struct {
	addr    state.Addr
	name    string
	present bool
	version string // the only one that will do; empty: any, or
	newest  bool   // the newest
	auto    bool   // installed only because another needs it

	leaves bool     // it is no longer as it was made:
	came   []string // then these go with it,
	back   []string // and these come back
}

// goalOf is where a change leads to, which for one that leads to nothing is what was found.
func goalOf(addr state.Addr, before, after *Package) goal {
	g := goal{addr: addr, name: before.or(after).Name}
	to := after
	if to == nil {
		to = before.Found
	}
	if g.present = to.present(); g.present {
		there := to.there()
		g.auto = there.automatic()
		switch {
		case to.Version != nil:
			g.version = *to.Version
		case there.version != "": // it goes back to what was there
			g.version = there.version
		default:
			g.newest = to.Ensure == latest
		}
	}
	if before != nil && before.made().present() != g.present {
		g.leaves = true
		if g.present {
			g.back = before.Dependents
		} else {
			g.came, g.back = before.Came, before.Displaced
		}
	}
	return g
}

// made is what opdbus made of a package that may be in between now: there is nothing else that can be half-configured.
func (p *Package) made() *Package {
	if p.ensure() == removed {
		return p
	}
	return &Package{Name: p.Name}
}

// terms are what has to be asked for, to know how to reach goals.
func terms(goals []goal) (terms []string) {
	for _, g := range goals {
		terms = append(terms, g.name)
		if g.version != "" {
			terms = append(terms, asked(g.name, g.version))
		}
		for _, text := range g.back {
			i, _ := parseID(text)
			terms = append(terms, i.name, asked(i.name, i.version))
		}
	}
	return terms
}

// work is the ids that transactions are to be made of.
type work struct {
	install, remove []string
	// first says that what is removed has to go before anything can be installed.
	first bool
	came  []id // what goes as well, if nothing else needs it
}

// work finds out what has to be done to reach goals. What can be done is, also where something cannot: that is an error besides.
func (s survey) work(goals []goal) (w work, err error) {
	var errs []error
	installing := map[string]bool{}
	add := func(i id, auto bool) {
		if !installing[i.name] {
			installing[i.name] = true
			w.install = append(w.install, i.again(auto))
		}
	}
	for _, g := range goals {
		st := s.of(g.name)
		switch {
		case g.present:
			i, err := st.choose(g)
			if err != nil {
				errs = append(errs, err)
			} else if i != nil {
				add(*i, g.auto)
			}
		case st.unfinished != "":
			w.first = true
			w.remove = append(w.remove, st.any(g.name).String())
		case st.installed != nil:
			w.remove = append(w.remove, st.installed.String())
		}
		if !g.leaves {
			continue
		}
		for _, text := range g.came {
			if i, err := parseID(text); err == nil {
				w.came = append(w.came, i)
			}
		}
		for _, text := range g.back {
			w.first = true
			i, err := parseID(text)
			if err != nil {
				continue
			}
			also := s.of(i.name)
			if also.installed != nil && also.unfinished == "" {
				continue
			}
			if v := also.version(i.version); v != nil {
				add(*v, i.automatic())
			} else {
				errs = append(errs, fmt.Errorf("cannot bring back %s, which had to go for %s: no repository that is known has it", i.words(), g.name))
			}
		}
	}
	return w, errors.Join(errs...)
}

// any is the id of whatever is there of a package that is unfinished.
func (s *stock) any(name string) id {
	for _, i := range append([]*id{s.installed, s.candidate}, pointers(s.others)...) {
		if i != nil {
			return *i
		}
	}
	return id{name: name, arch: "all"}
}

// choose is the version that has to be installed; nil where what is there will do.
func (s *stock) choose(g goal) (*id, error) {
	will := s.newest()
	switch {
	case g.version != "":
		will = s.version(g.version)
	case !g.newest && s.installed != nil:
		will = s.installed
	}
	switch {
	case will == nil && g.version != "":
		return nil, fmt.Errorf("cannot install %s %s: no repository that is known has this version%s", g.name, g.version, s.instead())
	case will == nil:
		return nil, fmt.Errorf("cannot install %s: no repository that is known has such a package. If it is new there, refresh the cache of packages (pkcon refresh, or apt-get update)", g.name)
	case s.unfinished == "" && s.installed != nil && will.same(*s.installed):
		return nil, nil
	}
	return will, nil
}

// instead names the versions that there are.
func (s *stock) instead() string {
	var versions []string
	for _, i := range append([]*id{s.installed, s.candidate}, pointers(s.others)...) {
		if i != nil {
			versions = append(versions, i.version)
		}
	}
	if len(versions) == 0 {
		return ", nor any other"
	}
	return "; there is " + strings.Join(versions, ", ")
}
