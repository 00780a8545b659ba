package packagekit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// A Repository is whether one of the repositories that the host knows is used.
type Repository struct {
	// ID is as PackageKit says it, for apt the file and the line: pkcon repo-list shows it.
	ID      string `hcl:"id,label" json:"id"`
	Enabled bool   `hcl:"enabled" json:"enabled"`
	// Found is what was there before.
	Found *Repository `json:"found,omitempty"`
}

// Key is the repository's id.
func (r Repository) Key() string { return r.ID }

// Thing says that a repository is one thing, whoever declares it.
func (r Repository) Thing() string { return "repository " + strings.TrimSpace(r.ID) }

// Same compares what is managed.
func (r Repository) Same(other state.Object) bool {
	o, ok := other.(Repository)
	return ok && r.ID == o.ID && r.Enabled == o.Enabled
}

// repositories is the provider of repositories.
type repositories struct {
	kit packageKit
	fs  hostfs.FS
}

// Live says that repositories are changed by a running service, for state.Live.
func (*repositories) Live() {}

// Read reads one repository.
func (p *repositories) Read(ctx context.Context, want Repository) (*Repository, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Repository]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all repositories by one transaction of PackageKit.
func (p *repositories) ReadAll(ctx context.Context, items []state.Item[Repository]) ([]*Repository, error) {
	if len(items) == 0 {
		return nil, nil
	}
	all, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	lives := make([]*Repository, len(items))
	for i, it := range items {
		if r := find(all, it.Want.ID); r != nil {
			lives[i] = &Repository{ID: it.Want.ID, Enabled: r.enabled, Found: it.Want.Found}
		}
	}
	return lives, nil
}

func (p *repositories) all(ctx context.Context) ([]repo, error) {
	a, err := p.kit.run(ctx, "GetRepoList", uint64(0))
	if err != nil {
		return nil, fmt.Errorf("cannot read repositories: %w", err)
	}
	return a.repos, nil
}

// find finds a repository. PackageKit has ids that end in a blank, which people do not see.
func find(all []repo, id string) *repo {
	for i, r := range all {
		if strings.TrimSpace(r.id) == strings.TrimSpace(id) {
			return &all[i]
		}
	}
	return nil
}

// Owns says whether the repository is what opdbus made of it: anything but what it found.
func (p *repositories) Owns(made *Repository, live Repository) bool {
	return made != nil && (made.Found == nil || made.Found.Enabled != live.Enabled)
}

// Claim takes the repository as it is found, which is what it goes back to.
func (p *repositories) Claim(want, live Repository) (Repository, error) {
	live.Found = nil
	want.Found = &live
	return want, nil
}

// PlanAll keeps what was found, and refuses what no repository is.
func (p *repositories) PlanAll(ctx context.Context, items []state.Planned[Repository]) error {
	var all []repo
	for i, it := range items {
		if it.Want == nil {
			continue
		}
		if it.Made != nil {
			items[i].Want.Found = it.Made.Found
		}
		if it.Live != nil {
			continue
		}
		if all == nil {
			var err error
			if all, err = p.all(ctx); err != nil {
				return err
			}
		}
		if find(all, it.Want.ID) == nil {
			return unknown(all, it.Want.ID)
		}
	}
	return nil
}

func unknown(all []repo, id string) error {
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = fmt.Sprintf("%q", strings.TrimSpace(r.id))
	}
	if len(ids) == 0 {
		return fmt.Errorf("the host knows no repository %q, nor any other", id)
	}
	slices.Sort(ids)
	return fmt.Errorf("the host knows no repository %q; it knows %s", id, strings.Join(ids, ", "))
}

// Apply enables or disables a repository. What a repository is no longer wanted to be leads to what it was.
func (p *repositories) Apply(ctx context.Context, before, after *Repository) error {
	to := after
	if to == nil && before != nil {
		to = before.Found
	}
	if to == nil { // it was not known before, and opdbus makes none
		return nil
	}
	all, err := p.all(ctx)
	if err != nil {
		return err
	}
	r := find(all, to.ID)
	switch {
	case r == nil && after == nil: // it has gone with its file
		return nil
	case r == nil:
		return unknown(all, to.ID)
	case r.enabled == to.Enabled:
		return nil
	}
	if _, err := p.kit.run(ctx, "RepoEnable", r.id, to.Enabled); err != nil {
		verb := "disable"
		if to.Enabled {
			verb = "enable"
		}
		return fmt.Errorf("cannot %s the repository %s: %w", verb, strings.TrimSpace(to.ID), err)
	}
	return nil
}

// Sync brings the file that names a repository to disk, where its id begins with that.
func (p *repositories) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[Repository]) error {
	var files []string
	for _, c := range changes {
		if f := fileOf(c.Addr.Key); f != "" {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil
	}
	t, err := p.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	return t.Sync(files)
}

// fileOf is the file that a repository stands in; empty where its id does not tell.
func fileOf(id string) string {
	if !strings.HasPrefix(id, "/") {
		return ""
	}
	file, _, _ := strings.Cut(id, ":")
	return file
}
