package stage

import (
	"path"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/closest"
	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// fileTypes and conflicts are what file blocks may say.
func fileTypes() []string { return []string{typeSymlink, typeCopy, typeCopyOnce, typeDirectory} }
func conflicts() []string { return []string{onFail, onBackup, onAdopt} }

// What is done about something else at a target.
const (
	onFail   = "fail"
	onBackup = "backup"
	onAdopt  = "adopt"
)

// files makes of each file block what it comes to. What is wrong is said of all of them.
func (e *expansion) files() {
	e.made = make([]state.Declared, 0, len(e.node.Objects))
	for i := range e.node.Objects {
		d := &e.node.Objects[i]
		f, ok := d.Object.(File)
		if !ok {
			e.made = append(e.made, *d)
			continue
		}
		before := len(e.diags)
		e.check(d, &f)
		if len(e.diags) == before {
			e.file(d, f)
		}
	}
}

// check reports what is wrong with a block's values, and completes them.
func (e *expansion) check(d *state.Declared, f *File) {
	if f.Type == "" {
		f.Type = typeSymlink
	}
	if f.OnConflict == "" {
		f.OnConflict = onFail
	}
	if !slices.Contains(fileTypes(), f.Type) {
		e.diags.Errorf(attrOf(d, "type"), "Unknown type of file", "%q is not one of %s.%s", f.Type, quoted(fileTypes()), closest.Hint(f.Type, fileTypes()))
	}
	if !slices.Contains(conflicts(), f.OnConflict) {
		e.diags.Errorf(attrOf(d, "on_conflict"), "Unknown way to settle a conflict", "%q is not one of %s.%s", f.OnConflict, quoted(conflicts()), closest.Hint(f.OnConflict, conflicts()))
	}
	if f.Content != nil && f.Type == typeDirectory {
		e.diags.Errorf(attrOf(d, "content"), "A directory cannot have content", "Leave out content, or choose another type.")
	}
	if f.Content == nil {
		e.validPath(d, f.Path) // that of others was checked with their content
	}
	e.checkTarget(d, f.Target)
	if f.Mode != "" {
		if m, err := hostfs.ParseMode(f.Mode); err != nil {
			e.diags.Errorf(attrOf(d, "mode"), "Invalid mode", "%s.", sentence(err))
		} else {
			f.Mode = e.mode(m)
		}
	}
	if f.Owner != "" || f.Group != "" {
		e.checkOwner(d, f)
	}
}

func (e *expansion) checkTarget(d *state.Declared, target string) {
	at := attrOf(d, "target")
	if err := hostfs.CheckTarget(target); err != nil {
		e.diags.Errorf(at, "Invalid target", "%s.", sentence(err))
		return
	}
	switch {
	case within(target, e.Store):
		e.diags.Errorf(at, "Target in the store", "%s is in %s, which holds what opdbus needs to take changes back. Choose a target outside it.", target, e.Store)
	case hostfs.IsOwnName(path.Base(target)):
		e.diags.Errorf(at, "Reserved name", "%q is a name that opdbus gives to files of its own. Choose another target.", path.Base(target))
	}
}

// within says whether a path is a directory or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func (e *expansion) checkOwner(d *state.Declared, f *File) {
	if e.accounts == nil {
		accounts, err := e.readAccounts()
		if err != nil {
			e.diags.Errorf(d.Source, "Cannot read the host's users", "%s.", sentence(err))
			return
		}
		e.accounts = accounts
	}
	if _, err := e.accounts.UID(f.Owner); err != nil {
		e.diags.Errorf(attrOf(d, "owner"), "Unknown user", "%s on the host. Make the user first, or write its number.", sentence(err))
	}
	if _, err := e.accounts.GID(f.Group); err != nil {
		e.diags.Errorf(attrOf(d, "group"), "Unknown group", "%s on the host. Make the group first, or write its number.", sentence(err))
	}
}

// file makes the objects of one valid block.
func (e *expansion) file(d *state.Declared, f File) {
	made := f.Content != nil
	f.Content = nil
	if f.Type == typeDirectory {
		f.Mode, f.Owner, f.Group = either(f.Mode, "0755"), either(f.Owner, rootName), either(f.Group, rootName)
		e.add(d, f, d.Sensitive)
		return
	}
	at, ok := e.byPath[f.Path]
	if !ok && made {
		return // why it could not be put there was said
	}
	if !ok {
		e.diags.Errorf(d.Source, "No such file in the stage", "%q is not in the stage's files.%s", f.Path, e.hint(f.Path))
		return
	}
	p := &e.payload[at]
	if f.Type == typeSymlink {
		e.link(d, f, p)
		return
	}
	if p.Type != typeDirectory {
		e.copy(d, f, p, f.Target)
		return
	}
	// A directory is copied thing by thing. The mode, owner and group of the block are those of the files.
	for i := at; i < len(e.payload) && within(e.payload[i].Path, f.Path); i++ {
		e.copy(d, f, &e.payload[i], f.Target+e.payload[i].Path[len(f.Path):])
	}
}

// link makes a link into the stage's tree. The block's mode, owner and group are those of the file that it leads to.
func (e *expansion) link(d *state.Declared, f File, p *staged) {
	if p.Type == typeSymlink && (f.Mode != "" || f.Owner != "" || f.Group != "") {
		e.diags.Errorf(d.Source, "A symlink has no mode or owner", "%q is itself a symlink in the stage's source.", f.Path)
		return
	}
	p.Mode, p.Owner, p.Group = either(f.Mode, p.Mode), either(f.Owner, p.Owner), either(f.Group, p.Group)
	f.Mode, f.Owner, f.Group = "", "", ""
	f.Link = e.inside(e.node.Addr, f.Path)
	e.add(d, f, d.Sensitive)
}

// copy makes a copy of a thing in the stage's tree.
func (e *expansion) copy(d *state.Declared, f File, p *staged, target string) {
	f.Path, f.Target = p.Path, target
	sensitive := d.Sensitive
	switch p.Type {
	case typeSymlink:
		if f.Type == typeCopyOnce {
			e.diags.Errorf(d.Source, "A symlink cannot be copied once", "%q is a symlink; choose type \"copy\" for it, which keeps a symlink that says the same at the target.", p.Path)
			return
		}
		f.Type, f.Link = typeSymlink, p.Link
		f.Mode, f.Owner, f.Group = "", "", ""
	case typeDirectory:
		f.Type, f.Mode = typeDirectory, p.Mode
		f.Owner, f.Group = either(f.Owner, p.Owner), either(f.Group, p.Group)
	default:
		f.Digest, f.Size = p.Digest, p.Size
		f.Mode, f.Owner, f.Group = either(f.Mode, p.Mode), either(f.Owner, p.Owner), either(f.Group, p.Group)
		if len(p.sensitive) > 0 {
			sensitive = append(slices.Clone(sensitive), p.sensitive...)
		}
	}
	if hostfs.IsOwnName(path.Base(target)) {
		e.diags.Errorf(d.Source, "Reserved name", "%q is a name that opdbus gives to files of its own.", target)
		return
	}
	e.add(d, f, sensitive)
}

func (e *expansion) add(d *state.Declared, f File, sensitive []string) {
	e.made = append(e.made, state.Declared{Addr: state.Addr{Node: e.node.Addr, Kind: "file", Key: f.Path}, Object: f, Sensitive: sensitive, Source: d.Source, Attr: d.Attr})
}

// maxHints bounds for how many paths a close one is looked for, each of which compares with all there are.
const maxHints = 20

func (e *expansion) hint(missing string) string {
	if e.hints++; e.hints > maxHints {
		return ""
	}
	paths := make([]string, 0, len(e.payload))
	for i := range e.payload {
		if path.Base(e.payload[i].Path) == path.Base(missing) {
			return closestPath(e.payload[i].Path)
		}
		paths = append(paths, e.payload[i].Path)
	}
	return closest.Hint(missing, paths)
}

func closestPath(p string) string { return " Did you mean \"" + p + "\"?" }

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func quoted(words []string) string { return "\"" + strings.Join(words, "\", \"") + "\"" }

// sentence makes an error's text begin like a sentence.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
