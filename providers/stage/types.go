package stage

import "github.com/opdbus/opdbus/state"

// A Stage is a stage block's own attributes.
type Stage struct {
	Component string   `hcl:"component,optional" json:"component,omitempty"`
	Version   string   `hcl:"version,optional" json:"version,omitempty"`
	Source    string   `hcl:"source,optional" json:"source,omitempty"`
	Image     string   `hcl:"image,optional" json:"image,omitempty"`
	Plugins   []string `hcl:"plugins,optional" json:"plugins,omitempty"`
}

// Key is empty: a node has one.
func (Stage) Key() string { return "" }

// The types of payload objects and files. Of a file, copyOnce is what the language calls copy-if-not-exists; other and
// blocked are only ever read: something that no file block asks for, and a target that cannot be gone to.
const (
	typeFile      = "file"
	typeDirectory = "directory"
	typeSymlink   = "symlink"
	typeCopy      = "copy"
	typeCopyOnce  = "copy-if-not-exists"
	typeOther     = "other"
	typeBlocked   = "blocked"
)

// A Payload is one file, directory or symlink in a stage's tree.
type Payload struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Group  string `json:"group,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
	Link   string `json:"link,omitempty"`
	// Where the content is to be had: at an absolute path of this process, or here.
	From    string  `json:"-"`
	Content *string `json:"-"`
}

// Key is the path in the tree.
func (p Payload) Key() string { return p.Path }

// Bytes is how much staging it takes, where nothing of it can be shared.
func (p Payload) Bytes() int64 { return p.Size }

// Same compares everything but where the content comes from.
func (p Payload) Same(other state.Object) bool {
	o, ok := other.(Payload)
	return ok && p.Path == o.Path && p.Type == o.Type && p.Mode == o.Mode && p.Owner == o.Owner && p.Group == o.Group &&
		p.Size == o.Size && p.Digest == o.Digest && p.Link == o.Link
}

// A File is what stands at a target in the system for a path of the stage.
type File struct {
	Path       string  `hcl:"path,label" json:"path"`
	Target     string  `hcl:"target" json:"target"`
	Type       string  `hcl:"type,optional" json:"type"`
	Mode       string  `hcl:"mode,optional" json:"mode,omitempty"`
	Owner      string  `hcl:"owner,optional" json:"owner,omitempty"`
	Group      string  `hcl:"group,optional" json:"group,omitempty"`
	OnConflict string  `hcl:"on_conflict,optional" json:"-"`
	Content    *string `hcl:"content,optional" json:"-"`
	Link       string  `json:"link,omitempty"`
	Digest     string  `json:"digest,omitempty"`
	// Parents are the directories that were made for it, Backup is where what stood at the target is kept, and Was is
	// the target that it moves away from.
	Parents []string `json:"parents,omitempty"`
	Backup  string   `json:"backup,omitempty"`
	Was     string   `json:"was,omitempty"`
	// Kept marks a file that was there already when a copy-if-not-exists came to it: it is never ours to remove.
	Kept bool `json:"kept,omitempty"`
	// Why says of a blocked target what is in the way, and Size how large a file is, for conflicts.
	Why  string `json:"-"`
	Size int64  `json:"-"`
}

// Key is the path in the stage.
func (f File) Key() string { return f.Path }

// Thing says that a target is one thing, whichever stage declares it.
func (f File) Thing() string { return "path " + f.Target }

// Holds says whether it is a directory, for state.Holder.
func (f File) Holds() bool { return f.Type == typeDirectory }

// Housing are the directories that were made for it, for state.Housed.
func (f File) Housing() []string {
	things := make([]string, len(f.Parents))
	for i, dir := range f.Parents {
		things[i] = File{Target: dir}.Thing()
	}
	return things
}

// Aside is where what stood at the target is kept, for state.Keeper.
func (f File) Aside() string { return f.Backup }

// From is the file as one of the stage path that made has, for state.Heir.
func (f File) From(made state.Object) state.Object {
	if m, ok := made.(File); ok {
		f.Path = m.Path
	}
	return f
}

// Same compares what stands at the target. Of a copy-if-not-exists that is only that it exists: an edit is no drift.
func (f File) Same(other state.Object) bool {
	o, ok := other.(File)
	return ok && f.Target == o.Target && f.Type == o.Type && (f.Type == typeCopyOnce || f.equal(o))
}

// Exactly compares the content of a copy-if-not-exists as well, for state.Exact.
func (f File) Exactly(other state.Object) bool {
	o, ok := other.(File)
	return ok && f.Same(o) && (f.Kept || o.Kept || f.equal(o)) // what was kept was never ours: its content is not known
}

// equal compares content and attributes.
func (f File) equal(o File) bool {
	return f.Type == o.Type && f.Link == o.Link && f.Digest == o.Digest && f.Mode == o.Mode && f.Owner == o.Owner && f.Group == o.Group
}

// isCopy says whether it is a regular file with a content of the stage.
func (f File) isCopy() bool { return f.Type == typeCopy || f.Type == typeCopyOnce }

// A Marker is the mark of a deployed stage.
type Marker struct {
	Component string `json:"component,omitempty" toml:"component"`
	Version   string `json:"version,omitempty" toml:"version"`
	Run       int    `json:"run,omitempty" toml:"run"`
	// Problem is why what stands there is no marker.
	Problem string `json:"problem,omitempty" toml:"-"`
}

// Key is the marker's name in the tree.
func (Marker) Key() string { return markerName }

const markerName = ".deployed"

// Same compares what was deployed, not in which run.
func (m Marker) Same(other state.Object) bool {
	o, ok := other.(Marker)
	m.Run, o.Run = 0, 0
	return ok && m == o
}

// Registers lists the plugins that the stage registers.
func (s Stage) Registers() []string { return s.Plugins }
