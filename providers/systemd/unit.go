package systemd

import (
	"maps"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A Unit is what is managed of one unit. What is not set is left alone.
type Unit struct {
	Name    string `hcl:"name,label" json:"name"`
	Enabled *bool  `hcl:"enabled,optional" json:"enabled,omitempty"`
	Active  *bool  `hcl:"active,optional" json:"active,omitempty"`
	Masked  *bool  `hcl:"masked,optional" json:"masked,omitempty"`
	// Content is the whole unit file in /etc/systemd/system, without the line that says who wrote it.
	Content *string `hcl:"content,optional" json:"content,omitempty"`
	// Properties are set at run time, as text in GVariant's notation: numbers, true, 'text'. They last until the host is started anew.
	Properties map[string]string `hcl:"properties,optional" json:"properties,omitempty"`
	RestartOn  state.References  `hcl:"restart_on,optional" json:"restart_on,omitempty"`
	ReloadOn   state.References  `hcl:"reload_on,optional" json:"reload_on,omitempty"`

	// NoFile says that a unit file that opdbus wrote before, and that is no longer declared, is gone.
	NoFile bool `json:"no_file,omitempty"`
	// Unset are the properties that nobody has set at run time.
	Unset []string `json:"unset,omitempty"`
	// Unmarked says of what is there that the file has no line that says that opdbus wrote it.
	Unmarked bool `json:"unmarked,omitempty"`
	// Found is what was there before, of what is managed; nil where there was no such unit.
	Found *Unit `json:"found,omitempty"`

	fileState string // as systemd says it, where enabled cannot be asked of it
	blocked   string // what stands in the place of the unit file
	passing   bool   // it is gone once it is stopped
}

// Key is the unit's name.
func (u Unit) Key() string { return u.Name }

// Thing says that a unit is one thing, whoever declares it.
func (u Unit) Thing() string { return "unit " + u.Name }

// Same compares what is managed.
func (u Unit) Same(other state.Object) bool {
	o, ok := other.(Unit)
	return ok && u.sameState(o) && slices.Equal(u.RestartOn, o.RestartOn) && slices.Equal(u.ReloadOn, o.ReloadOn)
}

func (u Unit) sameState(o Unit) bool {
	return u.Name == o.Name && same(u.Enabled, o.Enabled) && same(u.Active, o.Active) && same(u.Masked, o.Masked) && same(u.Content, o.Content) &&
		u.NoFile == o.NoFile && maps.Equal(u.Properties, o.Properties)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Triggers are restart_on and reload_on.
func (u Unit) Triggers() map[state.Trigger]state.References {
	return map[state.Trigger]state.References{state.Restart: u.RestartOn, state.Reload: u.ReloadOn}
}

// managed is what of u the unit want manages.
func (u Unit) managed(want Unit) Unit {
	m := Unit{Name: u.Name, NoFile: u.NoFile && want.NoFile}
	if want.Enabled != nil {
		m.Enabled = u.Enabled
	}
	if want.Active != nil {
		m.Active = u.Active
	}
	if want.Masked != nil {
		m.Masked = u.Masked
	}
	if want.Content != nil {
		m.Content, m.Unmarked = u.Content, u.Unmarked
	}
	for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
		if v, ok := u.Properties[name]; ok {
			if m.Properties == nil {
				m.Properties = map[string]string{}
			}
			m.Properties[name] = v
			if slices.Contains(u.Unset, name) {
				m.Unset = append(m.Unset, name)
			}
		}
	}
	return m
}

// with is found and what else is live of what want manages.
func (found Unit) with(live, want Unit) Unit {
	all := live.managed(want)
	if found.Enabled != nil {
		all.Enabled = found.Enabled
	}
	if found.Active != nil {
		all.Active = found.Active
	}
	if found.Masked != nil {
		all.Masked = found.Masked
	}
	if want.Content != nil && (found.Content != nil || live.Content == nil || !live.Unmarked) {
		all.Content, all.Unmarked = found.Content, found.Unmarked
	}
	for _, name := range slices.Sorted(maps.Keys(found.Properties)) {
		if _, ok := want.Properties[name]; !ok {
			continue
		}
		if all.Properties == nil {
			all.Properties = map[string]string{}
		}
		all.Properties[name] = found.Properties[name]
		all.Unset = slices.DeleteFunc(all.Unset, func(n string) bool { return n == name })
		if slices.Contains(found.Unset, name) {
			all.Unset = append(all.Unset, name)
		}
	}
	slices.Sort(all.Unset)
	return all
}

// absent is the unit when nothing is there of what is managed.
func (u Unit) absent() Unit {
	off := false
	gone := Unit{Name: u.Name, Unset: slices.Sorted(maps.Keys(u.Properties))}
	for _, a := range []struct{ managed, gone **bool }{{&u.Enabled, &gone.Enabled}, {&u.Active, &gone.Active}, {&u.Masked, &gone.Masked}} {
		if *a.managed != nil {
			*a.gone = &off
		}
	}
	if u.Content != nil && gone.Active == nil && !isTemplate(u.Name) {
		gone.Active = &off // without its file it could not be stopped any more in the way that this says
	}
	return gone
}

// kinds are the suffixes of units' names.
func kinds() []string {
	return []string{".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope"}
}

// isUnitName says whether systemd takes a name (unit_name_is_valid): a prefix of letters, digits and :-_.\@, a suffix that is a kind,
// 255 bytes in all.
func isUnitName(name string) bool {
	at := strings.LastIndexByte(name, '.')
	if at < 1 || len(name) > 255 || !slices.Contains(kinds(), name[at:]) || name[0] == '@' {
		return false
	}
	return strings.IndexFunc(name[:at], func(r rune) bool {
		return r > 127 || !strings.ContainsRune(`:-_.\@`, r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// isTemplate says whether a name is that of a template, which only its instances are started of.
func isTemplate(name string) bool { return strings.Contains(name, "@.") }

// Check finds what no systemd would take.
func (u Unit) Check(report func(attr, summary, detail string)) {
	switch {
	case !isUnitName(u.Name):
		report("", "Invalid unit name", u.Name+" is no name of a unit: it ends in its kind, such as .service, and has letters, digits and :-_.\\@ only.")
	case isTemplate(u.Name) && u.Active != nil:
		report("active", "A template cannot be active", u.Name+" is a template. What is started are its instances: "+strings.Replace(u.Name, "@.", "@NAME.", 1)+".")
	case isTemplate(u.Name) && u.Properties != nil:
		report("properties", "A template has no properties", u.Name+" is a template. What has properties are its instances: "+strings.Replace(u.Name, "@.", "@NAME.", 1)+".")
	case u.Content != nil && u.Masked != nil && *u.Masked:
		report("masked", "A masked unit has no content", "Masking puts a link in the place of the unit file "+pathOf(u.Name)+". Take out content or masked.")
	case u.Masked != nil && *u.Masked && u.Active != nil && *u.Active:
		report("masked", "A masked unit cannot be active", "What is masked cannot be started. Take out active or masked.")
	case u.Masked != nil && *u.Masked && u.Properties != nil:
		report("properties", "A masked unit has no properties", "What is masked is not loaded, and has none that could be set. Take out properties or masked.")
	case u.Masked != nil && *u.Masked && u.Enabled != nil && *u.Enabled:
		report("masked", "A masked unit cannot be enabled", "Take out enabled or masked.")
	}
}
