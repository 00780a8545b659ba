package systemd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// units is the provider of units.
type units struct {
	manager manager
	files   unitFiles
}

// Live says that units are states of a running systemd, for state.Live.
func (*units) Live() {}

// Read reads one unit.
func (p *units) Read(ctx context.Context, want Unit) (*Unit, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Unit]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// Apply changes one unit.
func (p *units) Apply(ctx context.Context, before, after *Unit) error {
	c := state.ChangeOf[Unit]{Before: before, After: after}
	for _, u := range []*Unit{before, after} {
		if u != nil {
			c.Addr.Key = u.Name
		}
	}
	return p.ApplyAll(ctx, state.Site{}, []state.ChangeOf[Unit]{c})
}

// A known unit is what systemd says of a unit and of its file.
type known struct {
	status
	file string // the file's state; empty where there is none, and where nobody asked
}

// ReadAll reads all units by two calls, however many they are: ListUnitsByNames, which loads those that are not, and
// ListUnitFilesByPatterns. What these do not tell costs one call a unit more: whether an instance of a template is enabled or masked, as
// it has no file of its name, and properties.
func (p *units) ReadAll(ctx context.Context, items []state.Item[Unit]) ([]*Unit, error) {
	all, err := p.survey(ctx, items)
	if err != nil {
		return nil, err
	}
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	lives := make([]*Unit, len(items))
	for i, it := range items {
		if lives[i], err = p.read(ctx, t, all[it.Want.Name], it.Want); err != nil {
			return nil, fmt.Errorf("cannot read unit %s: %w", it.Want.Name, err)
		}
	}
	return lives, nil
}

// survey asks systemd of all units at once, and of the files of those where it matters.
func (p *units) survey(ctx context.Context, items []state.Item[Unit]) (map[string]known, error) {
	var names, files, instances []string
	for _, it := range items {
		name, linked := it.Want.Name, it.Want.Enabled != nil || it.Want.Masked != nil
		if !isTemplate(name) { // which cannot be loaded
			names = append(names, name)
		}
		switch {
		case linked && hasFile(name):
			files = append(files, name)
		case linked:
			instances = append(instances, name)
		}
	}
	statuses, err := p.manager.statuses(ctx, unique(names))
	if err != nil {
		return nil, err
	}
	states, err := p.manager.fileStates(ctx, unique(files))
	if err != nil {
		return nil, err
	}
	all := make(map[string]known, len(items))
	for _, it := range items {
		all[it.Want.Name] = known{statuses[it.Want.Name], states[it.Want.Name]}
	}
	for _, name := range unique(files) {
		// A unit that is loaded under a name of which there is no file: an alias, say, or one that somebody has started without a file.
		if k := all[name]; k.file == "" && k.Load != "not-found" && k.Load != "" {
			instances = append(instances, name)
		}
	}
	for _, name := range unique(instances) {
		k := all[name]
		if k.file, err = p.manager.fileState(ctx, name); err != nil {
			return nil, err
		}
		all[name] = k
	}
	return all, nil
}

// unique are the names, ordered, each once.
func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *units) read(ctx context.Context, t *hostfs.Tree, k known, want Unit) (*Unit, error) {
	live := Unit{Name: want.Name, RestartOn: want.RestartOn, ReloadOn: want.ReloadOn, Found: want.Found}
	var unit unitFile
	var err error
	if want.Content != nil || want.Masked != nil && *want.Masked && k.file != "masked" {
		if unit, err = p.files.read(t, pathOf(want.Name)); err != nil {
			return nil, err
		}
	}
	if want.Content != nil {
		switch {
		case !unit.there && (k.Load == "not-found" || k.Load == "") && k.file == "" && k.down():
			return nil, nil
		case unit.isFile():
			live.Content, live.Unmarked = &unit.content, !unit.marked
		}
		live.blocked = unit.blocked
		if unit.masked && want.Masked == nil {
			live.blocked = "a mask"
		}
	}
	if want.Active != nil {
		live.Active = k.asWanted(*want.Active)
		live.passing = strings.HasSuffix(want.Name, ".scope") || k.file == "transient"
	}
	if want.Masked != nil {
		masked := k.file == "masked" || k.file == "" && k.Load == "masked"
		live.Masked = &masked
		if *want.Masked && !masked && unit.there {
			live.blocked = "a unit file, and what masks a unit is a link in its place"
		}
	}
	if want.Enabled != nil {
		enabled := k.file == "enabled"
		live.Enabled = &enabled
	}
	if want.Enabled != nil || want.Masked != nil {
		switch k.file {
		case "", "enabled", "disabled", "masked":
		default:
			if want.Enabled != nil || strings.HasSuffix(k.file, "-runtime") {
				live.fileState = k.file
			}
		}
	}
	if len(want.Properties) > 0 {
		if live.Properties, err = p.properties(ctx, k.Path, want); err != nil {
			return nil, err
		}
	}
	return &live, nil
}
