package packagekit

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// List lists the installed packages of the host's architecture, in the order of their names.
func (p *packages) List(ctx context.Context) ([]Package, error) {
	a, err := p.kit.run(ctx, "GetPackages", uint64(filterInstalled|filterArch))
	if err != nil {
		return nil, fmt.Errorf("cannot list packages: %w", err)
	}
	all := make([]Package, len(a.found))
	for i, f := range a.found {
		all[i] = Package{Name: f.name, Ensure: installed, Version: &f.version, Besides: Besides{Installed: f.kept()}}
	}
	slices.SortFunc(all, func(x, y Package) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

// List lists the repositories that the host knows, in the order of their ids.
func (p *repositories) List(ctx context.Context) ([]Repository, error) {
	repos, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Repository, len(repos))
	for i, r := range repos {
		all[i] = Repository{ID: strings.TrimSpace(r.id), Enabled: r.enabled}
	}
	slices.SortFunc(all, func(x, y Repository) int { return strings.Compare(x.ID, y.ID) })
	return all, nil
}
