package packagekit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// packages is the provider of packages.
type packages struct {
	kit packageKit
	fs  hostfs.FS

	mu    sync.Mutex
	notes map[string]note // what the last plan found out, by the names of packages
}

// Live says that packages are changed by a running service, for state.Live.
func (*packages) Live() {}

// Read reads one package.
func (p *packages) Read(ctx context.Context, want Package) (*Package, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Package]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// Apply cannot be: packages are changed together.
func (*packages) Apply(context.Context, *Package, *Package) error {
	return errors.New("packages are changed by ApplyAll")
}

// ReadAll reads all packages by one transaction of PackageKit.
func (p *packages) ReadAll(ctx context.Context, items []state.Item[Package]) ([]*Package, error) {
	if len(items) == 0 {
		return nil, nil
	}
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.Want.Name
	}
	all, err := p.survey(ctx, names)
	if err != nil {
		return nil, err
	}
	lives := make([]*Package, len(items))
	for i, it := range items {
		lives[i] = all.of(it.Want.Name).live(it.Want)
	}
	return lives, nil
}

// A stock is what is known of one package.
type stock struct {
	installed  *id    // nil: it is not
	candidate  *id    // the newest that can be installed; nil: none
	others     []id   // other versions that were asked for and can be installed
	unfinished string // what it is besides installed and not
}

// A survey is what is known of packages, by their names.
type survey map[string]*stock

func (s survey) of(name string) *stock {
	if s[name] == nil {
		s[name] = &stock{}
	}
	return s[name]
}

// survey asks for names, and for ids of versions.
func (p *packages) survey(ctx context.Context, terms []string) (survey, error) {
	terms = slices.Compact(slices.Sorted(slices.Values(terms)))
	a, err := p.kit.run(ctx, "Resolve", uint64(filterArch), terms)
	if err != nil {
		return nil, fmt.Errorf("cannot read packages: %w", err)
	}
	s := survey{}
	for _, f := range a.found {
		s.of(f.name).add(f, slices.Contains(terms, asked(f.name, f.version)))
	}
	unfinished, err := p.kit.dpkg.unfinished()
	if err != nil {
		return nil, err
	}
	for name, state := range unfinished {
		s.of(name).unfinished = state
	}
	return s, nil
}

// add notes a version. Without being asked for by its version, only the newest is told.
func (s *stock) add(f found, wanted bool) {
	switch {
	case f.info == infoInstalled:
		s.installed = &f.id
	case !wanted:
		s.candidate = &f.id
	case !slices.ContainsFunc(s.others, f.same):
		s.others = append(s.others, f.id)
	}
}

// newest is the version that latest stands for.
func (s *stock) newest() *id {
	switch {
	case s.candidate != nil:
		return s.candidate
	case s.installed != nil:
		return s.installed
	case len(s.others) > 0:
		return &s.others[0]
	}
	return nil
}

// version is a version that can be installed, or is.
func (s *stock) version(v string) *id {
	for _, i := range append([]*id{s.installed, s.candidate}, pointers(s.others)...) {
		if i != nil && i.version == v {
			return i
		}
	}
	return nil
}

func pointers(ids []id) []*id {
	all := make([]*id, len(ids))
	for i := range ids {
		all[i] = &ids[i]
	}
	return all
}

// live is the package as it is, of what want manages.
func (s *stock) live(want Package) *Package {
	live := &Package{Name: want.Name, Ensure: installed, Besides: want.Besides, Found: want.Found}
	live.Installed = ""
	switch {
	case s.unfinished != "":
		live.Ensure = s.unfinished
		return live
	case s.installed == nil && want.Ensure == removed:
		live.Ensure = removed
		return live
	case s.installed == nil:
		return nil
	}
	live.Installed, live.lost = s.installed.kept(), s.installed.local()
	if want.Ensure == "" || want.Ensure == latest && s.newest().same(*s.installed) {
		live.Ensure = want.Ensure
	}
	if want.Version != nil {
		live.Version = &s.installed.version
	}
	return live
}
