package systemd

import (
	"context"
	"fmt"
	"maps"
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

// A known unit is what is known of a unit and of its file.
type known struct {
	status
	file string // the file's state; empty where there is none, and where nobody asked
}

// ReadAll reads all units by two calls, however many they are: ListUnitsByNames, which loads those that are not, and that for where
// systemd finds unit files, whose links tell what is enabled and masked. Of units of which they do not, ListUnitFilesByPatterns is asked,
// once for all. One call more each cost instances of templates of which links do not tell, and units with properties.
func (p *units) ReadAll(ctx context.Context, items []state.Item[Unit]) ([]*Unit, error) {
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	all, err := p.survey(ctx, t, items)
	if err != nil {
		return nil, err
	}
	lives := make([]*Unit, len(items))
	for i, it := range items {
		if lives[i], err = p.read(ctx, t, all[it.Want.Name], it.Want); err != nil {
			return nil, fmt.Errorf("cannot read unit %s: %w", it.Want.Name, err)
		}
	}
	return lives, nil
}

// survey looks at all units at once, and at the files of those where it matters.
func (p *units) survey(ctx context.Context, t *hostfs.Tree, items []state.Item[Unit]) (map[string]known, error) {
	var names []string
	linked := map[string]bool{} // whether it is to be enabled
	for _, it := range items {
		if !isTemplate(it.Want.Name) { // which cannot be loaded
			names = append(names, it.Want.Name)
		}
		if it.Want.Enabled != nil || it.Want.Masked != nil {
			linked[it.Want.Name] = linked[it.Want.Name] || is(it.Want.Enabled, true)
		}
	}
	statuses, err := p.manager.statuses(ctx, unique(names))
	if err != nil {
		return nil, err
	}
	states, err := p.fileStates(ctx, t, linked)
	if err != nil {
		return nil, err
	}
	all := make(map[string]known, len(items))
	for _, it := range items {
		all[it.Want.Name] = known{statuses[it.Want.Name], states[it.Want.Name]}
	}
	return all, nil
}

// fileStates are the states of units' files, as far as these matter. The units are given with whether they are to be enabled.
func (p *units) fileStates(ctx context.Context, t *hostfs.Tree, units map[string]bool) (map[string]string, error) {
	if len(units) == 0 {
		return nil, nil
	}
	l, err := p.links(ctx, t)
	if err != nil {
		return nil, err
	}
	states := make(map[string]string, len(units))
	var unsure, instances []string
	for _, name := range slices.Sorted(maps.Keys(units)) {
		fileState, sure, err := l.state(name, units[name])
		switch {
		case err != nil:
			return nil, fmt.Errorf("cannot read how unit %s is installed: %w", name, err)
		case sure:
			states[name] = fileState
		case templateOf(name) != "": // which has no file of its name
			instances = append(instances, name)
		default:
			unsure = append(unsure, name)
		}
	}
	asked, err := p.manager.fileStates(ctx, unsure)
	if err != nil {
		return nil, err
	}
	maps.Copy(states, asked)
	for _, name := range instances {
		if states[name], err = p.manager.fileState(ctx, name); err != nil {
			return nil, err
		}
	}
	return states, nil
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
	if want.Content != nil || want.NoFile || want.Masked != nil && *want.Masked && k.file != stateMasked {
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
	if want.NoFile {
		if live.NoFile = !unit.marked; unit.marked {
			live.Content = &unit.content
		}
	}
	if want.Active != nil {
		live.Active = k.asWanted(*want.Active)
		live.passing = strings.HasSuffix(want.Name, ".scope") || k.file == "transient"
	}
	if want.Masked != nil {
		masked := k.file == stateMasked || k.file == "" && k.Load == "masked"
		live.Masked = &masked
		if *want.Masked && !masked && unit.there {
			live.blocked = "a unit file, and what masks a unit is a link in its place"
		}
	}
	if want.Enabled != nil {
		enabled := k.file == stateEnabled
		live.Enabled = &enabled
	}
	live.fileState = k.unaskable(want)
	if len(want.Properties) > 0 {
		if live.Properties, err = p.properties(ctx, k.Path, want); err != nil {
			return nil, err
		}
		if live.Unset, err = p.notSet(t, want); err != nil {
			return nil, err
		}
	}
	return &live, nil
}

// unaskable is the state of a unit's file where it cannot be brought to what want has by enabling, disabling and masking; else empty.
func (k known) unaskable(want Unit) string {
	switch k.file {
	case "", stateEnabled, stateDisabled:
		if want.Enabled == nil && want.Masked == nil && is(want.Active, true) && k.Load == "masked" {
			return stateMasked
		}
		return ""
	case stateMasked:
		if want.Masked == nil && (is(want.Enabled, true) || is(want.Active, true)) {
			return k.file
		}
		return ""
	case "static", "indirect", "generated", "transient":
		if is(want.Enabled, true) { // that it is not, each of them satisfies
			return k.file
		}
		return ""
	}
	if want.Enabled == nil && !strings.HasSuffix(k.file, "-runtime") {
		return ""
	}
	return k.file
}
