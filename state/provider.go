package state

import (
	"context"
	"time"
)

// A Provider looks after one kind of thing. T is a struct. What a provider can do beyond the two methods it says by
// having the optional interfaces of this file; it never gets a third method.
type Provider[T Object] interface {
	// Read returns the live state of the thing that want describes, nil if there is none. Attributes that want
	// leaves unset are left unset. It changes nothing. "Not there" is nil; "cannot tell" is an error.
	Read(ctx context.Context, want T) (live *T, err error)
	// Apply takes the thing from before to after, nil being absent; applying what is already so is no error.
	Apply(ctx context.Context, before, after *T) error
}

// An Item is one object with its address, for providers that work on many at once.
type Item[T Object] struct {
	Addr Addr
	Want T
}

// A BatchReader reads all objects of a kind in one go. It returns one result an item, in order.
type BatchReader[T Object] interface {
	ReadAll(ctx context.Context, items []Item[T]) ([]*T, error)
}

// A ChangeOf is a Change of a known kind.
type ChangeOf[T Object] struct {
	Addr          Addr
	Before, After *T
	Trigger       Trigger
}

// A BatchApplier makes all of a node's changes of a kind in one go, at the node's site. After an error the host is
// looked at to find out what has been done.
type BatchApplier[T Object] interface {
	ApplyAll(ctx context.Context, site Site, changes []ChangeOf[T]) error
}

// An Owner's things stand where somebody else's could stand.
type Owner[T Object] interface {
	// Owns says whether live is what opdbus made, as far as can be told; made is what the ledger has, nil for nothing.
	// What is not owned is never overwritten or deleted.
	Owns(made *T, live T) bool
	// Claim says what want comes to where live stands and is not ours: the object to make, with how the other thing
	// is kept, or an error that names the conflict and the remedy. Returning live itself takes it over as it is.
	Claim(want, live T) (T, error)
}

// A Recorder can tell by its bytes whether the ledger's entry for an object is up to date. Every plan asks that of every
// object, so that a kind with many objects has to answer without decoding.
type Recorder[T Object] interface {
	// Recorded says that the entry, as JSON, surely is the Same as want. Where it cannot tell, the entry is decoded and compared.
	Recorded(made []byte, want T) bool
}

// A Planned item is what a Planner may still amend.
type Planned[T Object] struct {
	Addr             Addr
	Made, Live, Want *T // Want is nil where the object is to be deleted
}

// A Planner completes what is wanted by what only the host and the ledger can tell, over all objects of the kind: those
// declared and those owned. It may replace an item's Want.
type Planner[T Object] interface {
	PlanAll(ctx context.Context, items []Planned[T]) error
}

// SavedDir is where in a node's subvolume Savers put things aside. It is there while a step is under way, and in the snapshot
// that the step begins with.
const SavedDir = ".opdbus/saved"

// A Saver puts aside what a change would destroy and nothing else holds, into SavedDir, before the snapshot is taken.
type Saver[T Object] interface {
	Save(ctx context.Context, site Site, changes []ChangeOf[T]) error
}

// A Syncer brings what was written for these objects to disk, with a number of calls that does not grow with them.
type Syncer[T Object] interface {
	Sync(ctx context.Context, site Site, changes []ChangeOf[T]) error
}

// A Live kind's things are states of running services, which with a root are not spoken to: then its objects are left out.
type Live interface {
	Live()
}

// An Overlapping kind's things go after those that come in the same node, so that there is no moment without either: what a route is replaced
// by is there before it goes.
type Overlapping interface {
	Overlaps()
}

// A Volatile kind's things go by themselves, when the host boots or when a daemon that holds them ends: they are made again then.
type Volatile interface {
	Volatile()
}

// A Lapser is an object of a volatile kind that can be left there without what it is there for, as a daemon leaves it that started anew: such a one
// is made again as one that went.
type Lapser interface {
	Lapsed() bool
}

// An Attendant does something for the length of every run, such as holding back a shutdown.
type Attendant[T Object] interface {
	// Attend begins it, as those that the configuration declares say, and in its own way where there are none; why is for people. It
	// ends with leave, or with the process.
	Attend(ctx context.Context, declared []T, why string) (leave func(), err error)
}

// An Explainer can tell why a thing did not become what was wanted although the call that was to make it so was carried out.
type Explainer[T Object] interface {
	// Explain says why, in words that follow a colon; empty where it does not know. It changes nothing.
	Explain(ctx context.Context, want T, live *T) string
}

// A Disturber says what else a change does to the running host, such as "restarts nginx.service".
type Disturber[T Object] interface {
	Disturbs(before, after *T) []string
}

// An Endangering change could cut the connection over which opdbus was started.
type Endangering[T Object] interface {
	// Endangers says how, such as "is the link of your connection from 192.0.2.5"; empty where it does not. It changes nothing.
	Endangers(ctx context.Context, before, after *T) (how string, err error)
}

// An Irreversible change cannot be taken back; the reason is said in the plan. Empty: it can.
type Irreversible[T Object] interface {
	Irreversible(before, after *T) (reason string)
}

// An Expander replaces a node's declared objects by what they come to. It belongs to the kind that is called like the
// node's type, whose value is the block's own attributes.
type Expander[T Object] interface {
	Expand(ctx context.Context, config *Config, node *Node, self T) Diagnostics
}

// A Dater can tell when the host's own record of a thing last changed. It is asked of what is no longer as it was made only.
type Dater[T Object] interface {
	// Changed says when what stands in the place of an item last changed, or when it went; zero where nothing tells. It changes
	// nothing.
	Changed(ctx context.Context, item Item[T]) (time.Time, error)
}

// A Watcher hears of what happens to things on the host, so that only what something happened to has to be read again.
type Watcher[T Object] interface {
	// Watch begins to listen, and returns once it does: from then on, until ctx ends, tell gets the address of each item that
	// something happens to, soon after it happened. An item of which it hears nothing is as it was; one that is named may turn out to
	// be as it was, too. Tell returns quickly and is not called by two at once. An error given to tell says that Watch hears no more.
	// It changes nothing.
	Watch(ctx context.Context, items []Item[T], tell func(named []Addr, err error)) error
}

// An Accepter knows what a configuration has to say for a thing to be wanted as somebody else made it. Without one, that is the
// value of each attribute that differs.
type Accepter[T Object] interface {
	// Accept says what has to be written so that the node wants item, which it declares, as live is. The two differ, and live
	// is there. It changes nothing. What cannot be written is an error that says why, and what to do by hand.
	Accept(ctx context.Context, node *Node, item Item[T], live T) (Acceptance, error)
}

// A Lister tells what is there at all, for query and import.
type Lister[T Object] interface {
	List(ctx context.Context) ([]T, error)
}

// A Site is where a node's turn in a run takes place, as far as a provider may know it. Paths are the host's own, with
// the root prefix.
type Site struct {
	Node NodeAddr
	Run  int
	// Dir is the node's subvolume, which exists; Beside is where a new version of it is built before the two are
	// exchanged, and where the old one stands afterwards, until the engine removes it.
	Dir, Beside string
	// Earlier are trees that may hold content which a change goes back to: the node's snapshots, newest first.
	Earlier []string
	// Holds says whether a thing on the host is an object that others may stand in, a Holder, rather than something that was made
	// for them only.
	Holds func(thing string) bool
}

// Subvolumes makes, copies and exchanges the trees that nodes live in.
type Subvolumes interface {
	// Create makes an empty one.
	Create(path string) error
	// Snapshot makes dst a copy of the subvolume src.
	Snapshot(src, dst string, readonly bool) error
	// Copy makes dst a copy of the subvolume src that can be written to, without the subvolumes that src holds: there are empty
	// directories in their place.
	Copy(src, dst string) error
	// Delete removes one, and is no error where there is none.
	Delete(path string) error
	// Exchange swaps two in one step, so that neither path is ever missing.
	Exchange(a, b string) error
}

// A Host says where things are on the host that is looked after.
type Host struct {
	// Root prefixes every path; empty for the host itself. With a root, no live service is spoken to.
	Root string
	// Store and Registry are as seen from inside the root.
	Store, Registry string
	Subvolumes      Subvolumes
	// Key is that of fingerprints, of secrets that objects name by their files; nil, also as an answer: there is none yet.
	Key func() ([]byte, error)
	// Tell is told what takes its time, in words, while a run is under way; nil: nobody is.
	Tell func(text string)
}

// Path is where p, as seen from inside the root, is for this process.
func (h Host) Path(p string) string {
	if h.Root == "" || h.Root == "/" {
		return p
	}
	return h.Root + p
}
