package systemd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
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

// Apply cannot be: units are changed together.
func (*units) Apply(context.Context, *Unit, *Unit) error {
	return errors.New("units are changed by ApplyAll")
}

// ReadAll reads all units by two calls: ListUnitsByNames, which loads those that are not, and ListUnitFilesByPatterns. Only what these do
// not tell costs a call for a unit: the file state of an instance of a template, and properties.
func (p *units) ReadAll(ctx context.Context, items []state.Item[Unit]) ([]*Unit, error) {
	names := make([]string, 0, len(items))
	for _, it := range items {
		names = append(names, it.Want.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	known, err := p.survey(ctx, names)
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
		if lives[i], err = p.read(ctx, t, known[it.Want.Name], it.Want); err != nil {
			return nil, fmt.Errorf("cannot read unit %s: %w", it.Want.Name, err)
		}
	}
	return lives, nil
}

// A knownUnit is what systemd says of a unit and of its file.
type knownUnit struct {
	status
	file string
}

func (p *units) survey(ctx context.Context, names []string) (map[string]knownUnit, error) {
	known := make(map[string]knownUnit, len(names))
	var statuses []status
	if err := p.manager.call(ctx, "ListUnitsByNames", []any{names}, &statuses); err != nil {
		return nil, fmt.Errorf("cannot read units: %w", err)
	}
	for i, s := range statuses {
		// An alias is answered with the name of what it stands for; answers are in the order of the questions where all are valid.
		if name := s.Name; len(statuses) == len(names) && name != names[i] {
			s.Name = names[i]
		}
		known[s.Name] = knownUnit{status: s}
	}
	patterns := make([]string, len(names))
	for i, n := range names {
		patterns[i] = escapePattern(n)
	}
	var files []fileStatus
	if err := p.manager.call(ctx, "ListUnitFilesByPatterns", []any{[]string{}, patterns}, &files); err != nil {
		return nil, fmt.Errorf("cannot read unit files: %w", err)
	}
	for _, f := range files {
		name := path.Base(f.Path)
		k := known[name]
		k.Name, k.file = name, f.State
		known[name] = k
	}
	for _, name := range names {
		k := known[name]
		if k.file != "" || !strings.Contains(name, "@") && (k.Load == "not-found" || k.Load == "") {
			continue
		}
		// An instance, or a unit without a file of its own name.
		err := p.manager.call(ctx, "GetUnitFileState", []any{name}, &k.file)
		var e *sysbus.Error
		if err != nil && !errors.As(err, &e) {
			return nil, err
		}
		if err != nil && (e.Name == sysbus.NoReply || e.Name == sysbus.Disconnected || e.Name == sysbus.AccessDenied) {
			return nil, err
		}
		k.Name = name
		known[name] = k // without a file it has no state
	}
	return known, nil
}

// escapePattern makes a name a pattern of fnmatch(3) that matches it only.
func escapePattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

func (p *units) read(ctx context.Context, t *hostfs.Tree, k knownUnit, want Unit) (*Unit, error) {
	live := Unit{Name: want.Name, RestartOn: want.RestartOn, ReloadOn: want.ReloadOn, Found: want.Found}
	if want.Content != nil {
		f, err := p.files.read(t, pathOf(want.Name))
		switch {
		case err != nil:
			return nil, err
		case !f.there && (k.Load == "not-found" || k.Load == "") && !k.running():
			return nil, nil
		case f.there && f.blocked == "" && !f.masked:
			live.Content, live.Unmarked = &f.content, !f.marked
		}
		live.blocked = f.blocked
		if f.masked && want.Masked == nil {
			live.blocked = "a mask"
		}
	}
	masked := k.file == "masked" || k.file == "masked-runtime" || k.file == "" && k.Load == "masked"
	if want.Masked != nil {
		live.Masked = &masked
	}
	if want.Active != nil {
		running := k.running()
		live.Active = &running
	}
	if want.Enabled != nil {
		enabled := k.file == "enabled" || k.file == "enabled-runtime"
		live.Enabled = &enabled
		if *want.Enabled && !enabled && slices.Contains([]string{"static", "alias", "generated", "transient", "bad"}, k.file) {
			live.fileState = k.file
		}
	}
	if len(want.Properties) > 0 {
		var err error
		if live.Properties, err = p.properties(ctx, want); err != nil {
			return nil, err
		}
	}
	return &live, nil
}

// properties are those that want has: in want's words where they come to the same.
func (p *units) properties(ctx context.Context, want Unit) (map[string]string, error) {
	all, err := p.allProperties(ctx, want.Name)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(want.Properties))
	for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
		live, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("it has no property %s", name)
		}
		wanted, err := parse(name, want.Properties[name], live.Signature())
		if err != nil {
			return nil, err
		}
		if found[name] = live.String(); wanted.String() == live.String() {
			found[name] = want.Properties[name]
		}
	}
	return found, nil
}

func (p *units) allProperties(ctx context.Context, unit string) (map[string]dbus.Variant, error) {
	object, err := p.manager.object(ctx, unit)
	if err != nil {
		return nil, err
	}
	return p.manager.bus.GetAll(ctx, service, object, "")
}

// parse reads a property's value. Text need not be quoted.
func parse(name, text string, sig dbus.Signature) (dbus.Variant, error) {
	v, err := dbus.ParseVariant(text, sig)
	if err == nil {
		return v, nil
	}
	if sig.String() == "s" {
		return dbus.MakeVariant(text), nil
	}
	return v, fmt.Errorf("the property %s is of type %s, and %q is not: %w", name, sig, text, err)
}
