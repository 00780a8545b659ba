package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// A DropIn is a file that adds to a unit's: UNIT/NAME.conf is /etc/systemd/system/UNIT.d/NAME.conf.
type DropIn struct {
	Name    string `hcl:"name,label" json:"name"`
	Content string `hcl:"content" json:"content"`

	// Unmarked says of what is there that it has no line that says that opdbus wrote it.
	Unmarked bool `json:"unmarked,omitempty"`
	// Parents are the directories that were made for it.
	Parents []string `json:"parents,omitempty"`

	blocked string
}

// Key is the unit's name and the file's.
func (d DropIn) Key() string { return d.Name }

// Thing says that a drop-in is one thing, whoever declares it.
func (d DropIn) Thing() string { return "drop-in " + d.Name }

// Same compares the content.
func (d DropIn) Same(other state.Object) bool {
	o, ok := other.(DropIn)
	return ok && d.Name == o.Name && d.Content == o.Content && d.blocked == o.blocked
}

// Check finds names that systemd would not read.
func (d DropIn) Check(report func(attr, summary, detail string)) {
	unit, file, ok := strings.Cut(d.Name, "/")
	if !ok || !isUnitName(unit) || strings.Contains(file, "/") || !strings.HasSuffix(file, ".conf") || strings.HasPrefix(file, ".") {
		report("", "Invalid drop-in name", d.Name+" is no name of a drop-in: it is UNIT/NAME.conf, such as nginx.service/10-limits.conf.")
	}
}

func (d DropIn) path() string {
	unit, file, _ := strings.Cut(d.Name, "/")
	return pathOf(unit) + ".d/" + file
}

// dropIns is the provider of drop-ins.
type dropIns struct {
	manager manager
	files   unitFiles
}

// Live says that a drop-in is part of a running systemd, for state.Live.
func (*dropIns) Live() {}

// Read reads a drop-in. It asks nothing of systemd.
func (p *dropIns) Read(_ context.Context, want DropIn) (*DropIn, error) {
	t, err := p.files.fs.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	f, err := p.files.read(t, want.path())
	if err != nil || !f.there {
		return nil, err
	}
	if f.masked {
		f.blocked = "a mask"
	}
	return &DropIn{Name: want.Name, Content: f.content, Unmarked: !f.marked, Parents: want.Parents, blocked: f.blocked}, nil
}

// Apply cannot be: systemd reads its files again once for all.
func (*dropIns) Apply(context.Context, *DropIn, *DropIn) error {
	return errors.New("drop-ins are changed by ApplyAll")
}

// ApplyAll writes and removes drop-ins, and has systemd read them, once. Units that run go on as they are until they are restarted.
func (p *dropIns) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[DropIn]) error {
	for _, c := range changes {
		var before *string
		if c.Before != nil {
			before = &c.Before.Content
		}
		var err error
		if c.After != nil {
			err = p.files.write(c.After.path(), c.After.Content, !c.After.Unmarked, before)
		} else {
			err = p.files.remove(c.Before.path(), before, c.Before.Parents)
		}
		if err != nil {
			return fmt.Errorf("cannot change drop-in %s: %w", c.Addr.Key, err)
		}
	}
	// Also when all was as it is to be: a cut may have come between the files and this.
	return p.manager.reload(ctx)
}

// Sync brings them to disk.
func (p *dropIns) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[DropIn]) error {
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = DropIn{Name: c.Addr.Key}.path()
	}
	return p.files.sync(paths)
}

// Owns says whether what is there is ours: what we made, also when somebody has edited it.
func (p *dropIns) Owns(made *DropIn, live DropIn) bool { return made != nil && live.blocked == "" }

// Claim takes over what says the same, and refuses anything else.
func (p *dropIns) Claim(want, live DropIn) (DropIn, error) {
	what := fmt.Sprintf("%d bytes that somebody else wrote", len(live.Content))
	if live.blocked != "" {
		what = live.blocked
	} else if live.Content == want.Content {
		return want, nil
	}
	return want, fmt.Errorf("%s is there already and is not opdbus' own: %s. Move it away, or give the drop_in another name", want.path(), what)
}

// PlanAll notes which directories are to be made.
func (p *dropIns) PlanAll(_ context.Context, items []state.Planned[DropIn]) error {
	t, err := p.files.fs.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	made := map[string]bool{}
	for _, it := range items {
		if it.Made != nil {
			for _, dir := range it.Made.Parents {
				made[dir] = true
			}
		}
	}
	for i, it := range items {
		switch {
		case it.Want == nil:
			continue
		case it.Made != nil:
			items[i].Want.Parents = it.Made.Parents
			continue
		}
		missing, err := t.Missing(it.Want.path())
		var blocked *hostfs.BlockedError
		if err != nil && !errors.As(err, &blocked) {
			return err
		}
		var parents []string
		for _, dir := range hostfs.Ancestors(it.Want.path()) {
			if made[dir] || slices.Contains(missing, dir) {
				parents = append(parents, dir)
			}
		}
		items[i].Want.Parents = parents
	}
	return nil
}

// Watch hears of what happens to the files.
func (p *dropIns) Watch(ctx context.Context, items []state.Item[DropIn], tell func([]state.Addr, error)) error {
	var paths []watch.Path
	for _, it := range items {
		paths = append(paths, watch.Path{Addr: it.Addr, Path: it.Want.path()})
	}
	return watch.Paths(ctx, p.files.fs.Root, paths, tell)
}
