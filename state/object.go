package state

import "reflect"

// An Object is the attributes of one thing on the host: a plain struct value with hcl and json tags. Its json form is
// what the ledger, the journal and snapshots keep; a field tagged json:"-" is an instruction, not state.
type Object interface {
	// Key says which thing this describes, such as a path or a unit's name.
	Key() string
}

// A Thing is an object that two nodes could declare under different addresses, such as a target path.
type Thing interface {
	// Thing names what the object stands for on the host, such as "path /etc/motd"; equal names are the same thing.
	Thing() string
}

// A Keeper is an object that may keep aside what stood in its place.
type Keeper interface {
	// Aside says where, and is empty when it does not.
	Aside() string
}

// An Heir is an object that can stand under another address, where its content is elsewhere.
type Heir interface {
	// From is the object with its content where made has it, which it was made as under another address.
	From(made Object) Object
}

// A Housed object may have had things made for it to stand in, such as missing directories.
type Housed interface {
	// Housing are these things.
	Housing() []string
}

// A Holder is a Thing that others may stand in, such as a directory.
type Holder interface {
	Thing
	// Holds says whether this one is such.
	Holds() bool
}

// A Sized object takes up space in the store.
type Sized interface {
	// Bytes is how much, at most.
	Bytes() int64
}

// A Source is content that an object is made from and that its JSON does not hold.
type Source struct {
	Digest string // sha256:…
	Size   int64
	Path   string // of the file that has it, absolute; empty: Data is it
	Data   string
}

// A Sourced object is made from content that its JSON does not hold, so that a plan with it is not complete without that.
type Sourced interface {
	// Source is what it is made from; the zero Source when it is made from nothing.
	Source() Source
	// SourcedFrom is the same object, made from what the file at path holds.
	SourcedFrom(path string) Object
}

// A Comparer compares itself with another object of its kind faster than reflection does, leaving out what is not state.
type Comparer interface {
	Same(other Object) bool
}

// An Exact object is one whose Same leaves out what is not opdbus' business, but comes back when a rollback makes it what it was.
type Exact interface {
	Exactly(other Object) bool
}

// Exactly says whether two objects of one kind are equal in all that a rollback gives back.
func Exactly(a, b Object) bool {
	if e, ok := a.(Exact); ok && b != nil {
		return e.Exactly(b)
	}
	return Same(a, b)
}

// Same says whether two objects of one kind are equal; nil is equal to nil only.
func Same(a, b Object) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if c, ok := a.(Comparer); ok {
		return c.Same(b)
	}
	return reflect.DeepEqual(a, b)
}

// An Action is what a change does. Its value is what it prints.
type Action string

// The actions. Adopt and Forget change what opdbus owns and leave the host as it is.
const (
	None    Action = ""
	Create  Action = "+"
	Update  Action = "~"
	Delete  Action = "-"
	Replace Action = "-/+"
	Adopt   Action = "="
	Forget  Action = "."
	// Fire does no more than the change's Trigger.
	Fire Action = ">"
)

// A Trigger is what a thing does because something that it refers to changes, such as a unit that is restarted.
type Trigger string

// The triggers. A change may have one besides, or be nothing else.
const (
	Restart Trigger = "restart"
	Reload  Trigger = "reload"
)

// References name nodes and objects by their addresses. In the language they are written as references.
type References []string

// A Triggering is that an object's Trigger fires, and what fires it.
type Triggering struct {
	Addr    Addr    `json:"object"`
	Trigger Trigger `json:"trigger"`
	By      []Addr  `json:"by,omitempty"`
}

// A Checked object can tell what is wrong with it before anything is looked at.
type Checked interface {
	// Check reports each mistake with the attribute that has it, of a nested block KIND["LABEL"].ATTRIBUTE; empty for the key.
	Check(report func(attr, summary, detail string))
}

// A Placed nested block is told, by its pointer, where it stands, so that what it becomes can say so.
type Placed interface {
	Place(source Range, attr func(name string) Range)
}

// A Triggered object does something once a run when what it refers to changes.
type Triggered interface {
	// Triggers are what it refers to, for each Trigger that it has. Restart goes before Reload.
	Triggers() map[Trigger]References
}

// A Cause says why there is a change.
type Cause string

// The causes: the configuration wants something else than what was made; the host is no longer what was made; something
// that the object follows changed; this version of opdbus makes the same configuration into something else.
const (
	CauseConfig  Cause = "config"
	CauseDrift   Cause = "drift"
	CauseTrigger Cause = "trigger"
	CauseUpgrade Cause = "upgrade"
)

// A Change takes one thing from one state to another. Nil means absent.
type Change struct {
	Addr          Addr
	Before, After Object
	// Made is what the ledger says opdbus last made it be; nil when it owns nothing there. MadeAt is the address
	// that owns it there, when that is another one (moved).
	Made   Object
	MadeAt Addr
	// HandsTo is the address that owns it afterwards, when that is another one: what had moved goes back.
	HandsTo Addr
	Cause   Cause
	// Forget gives up ownership and leaves the thing as it is.
	Forget bool
	// Trigger is what the thing does besides, or only, because something it refers to changes: TriggeredBy.
	Trigger     Trigger
	TriggeredBy []Addr
	// Replace asks for a deletion and a creation in place of an update.
	Replace bool
	// Sensitive names the attributes that are printed as fingerprints only.
	Sensitive []string
	// Note is for the reader of the plan: what else is to be known, such as where a conflicting file is kept.
	Note   string
	Source Range
}

// Action is what the change does.
func (c Change) Action() Action {
	switch {
	case c.Forget:
		return Forget
	case c.Before == nil && c.After == nil:
		return None
	case c.Before == nil:
		return Create
	case c.After == nil:
		return Delete
	case c.Replace:
		return Replace
	case !Same(c.Before, c.After):
		return Update
	case c.Trigger != "":
		return Fire
	case c.Made == nil || c.MadeAt != (Addr{}) || c.HandsTo != (Addr{}):
		return Adopt
	}
	return None
}

// Inverse is the change turned round: what takes it back.
func (c Change) Inverse() Change {
	c.Before, c.After = c.After, c.Before
	return c
}
