package login1

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/marked"
	"github.com/opdbus/opdbus/providers/internal/watch"
	"github.com/opdbus/opdbus/state"
)

// settingsDir is where what is set in logind.conf(5) is added to.
const settingsDir = "/etc/systemd/logind.conf.d"

// Settings are keys of logind.conf in a drop-in of their own: NAME is /etc/systemd/logind.conf.d/NAME.conf.
type Settings struct {
	Name   string            `hcl:"name,label" json:"name"`
	Values map[string]string `hcl:"values" json:"values"`

	// Text is the whole file, without the mark, where it is not what Values come to: somebody has edited it.
	Text string `json:"text,omitempty"`
	// Parents are the directories that were made for it.
	Parents []string `json:"parents,omitempty"`

	refused string // what stands in the place of the file and is not ours
}

// Key is the file's name, without .conf.
func (s Settings) Key() string { return s.Name }

// Thing says that a drop-in is one thing, whoever declares it.
func (s Settings) Thing() string { return "path " + s.path() }

func (s Settings) path() string { return settingsDir + "/" + s.Name + ".conf" }

// Same compares what is set.
func (s Settings) Same(other state.Object) bool {
	o, ok := other.(Settings)
	return ok && s.Name == o.Name && s.Text == o.Text && s.refused == o.refused && maps.Equal(s.Values, o.Values)
}

// Check finds what logind would not take.
func (s Settings) Check(report func(attr, summary, detail string)) {
	if s.Name == "" || strings.HasPrefix(s.Name, ".") || strings.HasSuffix(s.Name, ".conf") || strings.ContainsAny(s.Name, "/\n\x00") {
		report("", "Invalid name of settings", fmt.Sprintf("%q is no name of a file, without .conf: such as 50-opdbus.", s.Name))
	}
	if len(s.Values) == 0 {
		report("values", "Settings without values", "Set at least one key of logind.conf(5), such as values = { KillUserProcesses = \"yes\" }.")
	}
	known := keys()
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		k, ok := known[name]
		if !ok {
			report("values", "Unknown key", fmt.Sprintf("%s is no key of logind.conf(5). The keys are %s.", name, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			continue
		}
		if _, err := k.form.canonical(s.Values[name]); err != nil || strings.ContainsAny(s.Values[name], "\n\r\x00") {
			report("values", "Invalid value of "+name, fmt.Sprintf("It cannot be %q: %v.", s.Values[name], err))
		}
	}
}

// written is the file that the values come to.
func (s Settings) written() string {
	if s.Text != "" {
		return s.Text
	}
	var b strings.Builder
	b.WriteString("[Login]\n")
	for _, name := range slices.Sorted(maps.Keys(s.Values)) {
		b.WriteString(name + "=" + s.Values[name] + "\n")
	}
	return b.String()
}

// parse reads values from a file.
func parse(text string) map[string]string {
	values, login := map[string]string{}, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case strings.HasPrefix(line, "["):
			login = line == "[Login]"
		case ok && login && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";"):
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}

// settings is the provider of logind's settings.
type settings struct {
	manager manager
	files   marked.Files
}

// Live says that settings are those of a running logind, for state.Live.
func (*settings) Live() {}

// Read reads one file, and what is in force of it.
func (p *settings) Read(ctx context.Context, want Settings) (*Settings, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Settings]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads the files, and with one call what is in force.
func (p *settings) ReadAll(ctx context.Context, items []state.Item[Settings]) ([]*Settings, error) {
	lives := make([]*Settings, len(items))
	var force inForce
	for i, it := range items {
		file, err := p.files.Read(it.Want.path())
		if err != nil {
			return nil, err
		}
		if !file.There {
			continue
		}
		live := fromFile(it.Want.Name, file)
		live.Parents = it.Want.Parents
		if live.refused == "" {
			if force == nil {
				if force, err = p.inForce(ctx); err != nil {
					return nil, err
				}
			}
			force.amend(&live, it.Want)
		}
		lives[i] = &live
	}
	return lives, nil
}

// fromFile is what a file says.
func fromFile(name string, file marked.File) Settings {
	s := Settings{Name: name}
	switch {
	case file.Blocked != "":
		s.refused = file.Blocked
	case !file.Ours:
		s.refused = fmt.Sprintf("%d bytes that somebody else wrote", len(file.Text))
	default:
		s.Values = parse(file.Text)
		if s.written() != file.Text {
			s.Text = file.Text
		}
	}
	return s
}

// Owns says whether what is there is ours: the mark says so, also when somebody has edited it.
func (*settings) Owns(made *Settings, live Settings) bool { return made != nil && live.refused == "" }

// Claim takes over what opdbus wrote, and refuses anything else.
func (*settings) Claim(want, live Settings) (Settings, error) {
	if live.refused == "" {
		return want, nil
	}
	return want, fmt.Errorf("%s is there already and is not opdbus' own: %s. Move it away, or give the settings another name", want.path(), live.refused)
}

// PlanAll notes which directories are to be made.
func (p *settings) PlanAll(_ context.Context, items []state.Planned[Settings]) error {
	return marked.NoteParents(p.files, items, func(o *Settings) (string, *[]string) { return o.path(), &o.Parents })
}

// Disturbs says that logind takes note at once.
func (*settings) Disturbs(_, _ *Settings) []string {
	return []string{"has logind read its settings again"}
}

// Explain says what overrides the settings.
func (*settings) Explain(_ context.Context, want Settings, live *Settings) string {
	if live == nil {
		return ""
	}
	var other []string
	for _, name := range slices.Sorted(maps.Keys(want.Values)) {
		if live.Values[name] != want.Values[name] {
			other = append(other, name+" is "+live.Values[name])
		}
	}
	if len(other) == 0 {
		return ""
	}
	return fmt.Sprintf("%s; another file in %s whose name comes after %s.conf may say so (systemd-analyze cat-config systemd/logind.conf)", strings.Join(other, ", "), settingsDir, want.Name)
}

// Sync brings the files to disk.
func (p *settings) Sync(_ context.Context, _ state.Site, changes []state.ChangeOf[Settings]) error {
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = Settings{Name: c.Addr.Key}.path()
	}
	return p.files.Sync(paths)
}

// List is the drop-ins that there are, whoever wrote them.
func (p *settings) List(context.Context) ([]Settings, error) {
	t, err := p.files.FS.Open()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	names, err := t.Names(settingsDir)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	slices.Sort(names)
	var all []Settings
	for _, n := range names {
		name, ok := strings.CutSuffix(n, ".conf")
		if !ok {
			continue
		}
		file, err := p.files.Read(settingsDir + "/" + n)
		if err != nil {
			return nil, err
		}
		if file.Blocked == "" {
			all = append(all, Settings{Name: name, Values: parse(file.Text)})
		}
	}
	return all, nil
}

// Watch hears of what happens to the files.
func (p *settings) Watch(ctx context.Context, items []state.Item[Settings], tell func([]state.Addr, error)) error {
	paths := make([]watch.Path, len(items))
	for i, it := range items {
		paths[i] = watch.Path{Addr: it.Addr, Path: it.Want.path()}
	}
	return watch.Paths(ctx, p.files.FS.Root, paths, tell)
}
