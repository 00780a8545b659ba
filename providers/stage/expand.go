package stage

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/providers/internal/tree"
	"github.com/opdbus/opdbus/state"
)

// stages is the provider of stage blocks, which only expand: nothing on the host is a stage as such.
type stages struct{ *host }

func (*stages) Read(context.Context, Stage) (*Stage, error) { return nil, nil }
func (*stages) Apply(context.Context, *Stage, *Stage) error { return nil }

// Expand replaces a stage's file blocks by the payload, what stands for it in the system, the registrations of its
// plugins and the marker, in this order.
func (s *stages) Expand(ctx context.Context, config *state.Config, node *state.Node, self Stage) state.Diagnostics {
	e := &expansion{host: s.host, config: config, node: node, self: self, modes: map[uint32]string{}}
	if !e.scan(ctx) {
		return e.diags
	}
	e.contents()
	e.files()
	e.assemble(ctx)
	return e.diags
}

// An expansion is a stage on its way from what was declared to what it comes to.
type expansion struct {
	*host
	config *state.Config
	node   *state.Node
	self   Stage
	diags  state.Diagnostics

	from     string // the source's directory
	payload  []staged
	byPath   map[string]int
	made     []state.Declared // files
	accounts *hostfs.Accounts
	modes    map[uint32]string
	hints    int
}

// A staged thing is a payload object with what declares it.
type staged struct {
	Payload
	sensitive []string
	source    state.Range
	attr      func(string) state.Range
}

func (e *expansion) at(name string) state.Range {
	if e.node.Attr == nil {
		return e.node.Source
	}
	return e.node.Attr(name)
}

// scan lists the source or the image.
func (e *expansion) scan(ctx context.Context) bool {
	attr := "source"
	switch {
	case e.self.Source != "" && e.self.Image != "":
		e.diags.Errorf(e.at("image"), "A stage has one source", "%s has both a source and an image. Remove one of the two.", e.node.Addr)
		return false
	case e.self.Source != "":
		e.from = e.self.Source
	case e.self.Image != "":
		attr = "image"
		if !state.ValidName(e.self.Image) {
			e.diags.Errorf(e.at(attr), "Invalid image name", "%q cannot name an image: a name is made of letters, digits, - and _.", e.self.Image)
			return false
		}
		e.from = e.Path(e.Store + "/deployment/images/" + e.self.Image + "/snapshot")
	default:
		return true
	}
	skip := func(path string) bool {
		if path != ".opdbus" && path != markerName {
			return false
		}
		if attr == "source" {
			e.diags.Errorf(e.at(attr), "Reserved name in the source", "%s/%s has the name of a file that opdbus puts into every stage. Rename it.", e.from, path)
		}
		return true
	}
	entries, err := tree.Scan(ctx, e.from, tree.Options{Index: tree.Load(e.index(e.node.Addr, ofSource)), Skip: skip})
	switch {
	case errors.Is(err, fs.ErrNotExist) && attr == "image":
		e.diags.Errorf(e.at(attr), "No such image", "There is no image %q in the store; opdbus image list shows what there is.", e.self.Image)
		return false
	case err != nil:
		e.diags.Errorf(e.at(attr), "Cannot read the "+attr, "The %s of %s cannot be read: %s.", attr, e.node.Addr, err)
		return false
	}
	e.scans.put(e.node.Addr, entries)
	at, attrs := e.at(attr), func(string) state.Range { return e.at(attr) }
	e.payload = make([]staged, 0, len(entries))
	for i := range entries {
		if p, ok := e.payloadOf(&entries[i]); ok {
			e.payload = append(e.payload, staged{Payload: p, source: at, attr: attrs})
		} else {
			e.diags.Errorf(at, "Neither file, directory nor symlink", "%s is a %s, which cannot be staged. Remove it from the %s.", entries[i].Full, entries[i].Stat.Kind(), attr)
		}
	}
	return true
}

const rootName = "root"

func (e *expansion) payloadOf(entry *tree.Entry) (Payload, bool) {
	p := Payload{Path: entry.Path}
	switch {
	case entry.Stat.IsRegular():
		p.Type, p.Size, p.Digest, p.From = typeFile, entry.Stat.Size, entry.Digest, entry.Full
		if data, ok := e.config.Overlay[entry.Full]; ok {
			content := string(data)
			p.Size, p.Digest, p.Content = int64(len(data)), tree.Digest(data), &content
		}
	case entry.Stat.IsDir():
		p.Type = typeDirectory
	case entry.Stat.IsLink():
		p.Type, p.Link = typeSymlink, entry.Link
		return p, true
	default:
		return p, false
	}
	p.Mode, p.Owner, p.Group = e.mode(entry.Stat.Perm()), rootName, rootName
	return p, true
}

// mode writes a mode; there are few different ones.
func (e *expansion) mode(m uint32) string {
	s, ok := e.modes[m]
	if !ok {
		s = hostfs.FormatMode(m)
		e.modes[m] = s
	}
	return s
}

// contents puts the files whose content is in the configuration into the payload.
func (e *expansion) contents() {
	e.lookUp()
	added := false
	for i := range e.node.Objects {
		d := &e.node.Objects[i]
		f, ok := d.Object.(File)
		if !ok || f.Content == nil || !e.validPath(d, f.Path) {
			continue
		}
		p := Payload{Path: f.Path, Type: typeFile, Mode: "0644", Owner: rootName, Group: rootName,
			Size: int64(len(*f.Content)), Digest: tree.Digest([]byte(*f.Content)), Content: f.Content}
		s := staged{Payload: p, source: d.Source, attr: d.Attr}
		if slices.Contains(d.Sensitive, "content") {
			s.Mode, s.sensitive = "0600", []string{"digest", "size"}
		}
		if m, err := hostfs.ParseMode(f.Mode); err == nil {
			s.Mode = e.mode(m)
		}
		if at, ok := e.byPath[f.Path]; ok {
			if e.payload[at].Type == typeDirectory {
				e.diags.Errorf(attrOf(d, "content"), "A directory cannot have content", "%q is a directory of the stage's source.", f.Path)
				continue
			}
			e.payload[at] = s
			continue
		}
		if !e.contentParents(d, f.Path) {
			continue
		}
		e.byPath[f.Path] = len(e.payload)
		e.payload, added = append(e.payload, s), true
	}
	if added {
		slices.SortFunc(e.payload, func(a, b staged) int { return tree.Compare(a.Path, b.Path) })
		e.lookUp()
	}
}

// contentParents adds the directories that a content's path needs and the source does not have.
func (e *expansion) contentParents(d *state.Declared, path string) bool {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		dir := path[:i]
		at, ok := e.byPath[dir]
		if !ok {
			e.byPath[dir] = len(e.payload)
			e.payload = append(e.payload, staged{Payload: Payload{Path: dir, Type: typeDirectory, Mode: "0755", Owner: rootName, Group: rootName}, source: d.Source, attr: d.Attr})
		} else if e.payload[at].Type != typeDirectory {
			e.diags.Errorf(d.Source, "Not a directory", "%q cannot be in the stage: %q is a %s there.", path, dir, e.payload[at].Type)
			return false
		}
	}
	return true
}

func (e *expansion) lookUp() {
	e.byPath = make(map[string]int, len(e.payload))
	for i := range e.payload {
		e.byPath[e.payload[i].Path] = i
	}
}

// validPath says whether a file block's label names something in a stage.
func (e *expansion) validPath(d *state.Declared, path string) bool {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case path == "." || !fs.ValidPath(path) || strings.ContainsRune(path, 0):
		e.diags.Errorf(d.Source, "Invalid path", "%q is not a path in the stage: it has to be relative and must not hold \".\", \"..\" or empty names.", path)
	case first == ".opdbus" || path == markerName:
		e.diags.Errorf(d.Source, "Reserved name", "%q is the name of a file that opdbus puts into every stage.", path)
	default:
		return true
	}
	return false
}

// attrOf is the place of an attribute.
func attrOf(d *state.Declared, name string) state.Range {
	if d.Attr == nil {
		return d.Source
	}
	return d.Attr(name)
}
