package systemd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
)

// List is the units that systemd has loaded, by one call, and whether these are enabled, by their links.
func (p *units) List(ctx context.Context) ([]Unit, error) {
	var statuses []status
	if err := p.manager.call(ctx, "ListUnits", nil, &statuses); err != nil {
		return nil, fmt.Errorf("cannot list units: %w", err)
	}
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	l, err := p.links(ctx, t)
	if err != nil {
		return nil, err
	}
	all := make([]Unit, len(statuses))
	for i, s := range statuses {
		u := Unit{Name: s.Name}
		running, masked := s.running(), s.Load == "masked"
		u.Active, u.Masked = &running, &masked
		// Without asking systemd, which would take minutes for all of them. What links do not tell is not said.
		switch file, sure, err := l.state(s.Name, true); {
		case err != nil:
			return nil, fmt.Errorf("cannot read how unit %s is installed: %w", s.Name, err)
		case sure && (file == stateEnabled || file == stateDisabled):
			enabled := file == stateEnabled
			u.Enabled = &enabled
		}
		all[i] = u
	}
	slices.SortFunc(all, func(a, b Unit) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// List is the drop-ins in /etc/systemd/system.
func (p *dropIns) List(context.Context) ([]DropIn, error) {
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	names, err := t.Names(unitDir)
	if hostfs.IsMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list drop-ins: %w", err)
	}
	slices.Sort(names)
	var all []DropIn
	for _, name := range names {
		unit, ok := strings.CutSuffix(name, ".d")
		if !ok || !isUnitName(unit) {
			continue
		}
		files, err := t.Names(unitDir + "/" + name)
		if err != nil {
			return nil, fmt.Errorf("cannot list the drop-ins of %s: %w", unit, err)
		}
		slices.Sort(files)
		for _, file := range files {
			d := DropIn{Name: unit + "/" + file}
			f, err := p.files.read(t, d.path())
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(file, ".conf") && f.there && f.blocked == "" && !f.masked {
				d.Content, d.Unmarked = f.content, !f.marked
				all = append(all, d)
			}
		}
	}
	return all, nil
}
