package store

import (
	"cmp"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/opdbus/opdbus/state"
)

// DefaultDir is where the store is unless somebody says otherwise.
const DefaultDir = "/var/lib/op-dbus"

// A Layout tells where things are in the store. Its paths are the host's own, with the root prefix.
type Layout struct {
	host   state.Host
	inside string // the store as seen from inside the root
}

// LayoutOf is the layout of a host's store, at DefaultDir when the host names none.
func LayoutOf(host state.Host) Layout {
	if root, err := filepath.Abs(host.Root); err == nil && host.Root != "" {
		host.Root = root
	}
	return Layout{host, path.Join("/", cmp.Or(host.Store, DefaultDir))}
}

// Dir is the store itself.
func (l Layout) Dir() string { return l.host.Path(l.inside) }

// Staging holds the nodes' subvolumes.
func (l Layout) Staging() string { return filepath.Join(l.Dir(), "staging") }

// Snapshots holds the nodes' snapshots.
func (l Layout) Snapshots() string { return filepath.Join(l.Staging(), "snapshots") }

// NodeDir is a node's subvolume.
func (l Layout) NodeDir(node state.NodeAddr) string { return filepath.Join(l.Staging(), node.Dir()) }

// Beside is where a new version of a node's subvolume is built before the two are exchanged. It is in the same directory
// and hidden, and no node's subvolume is called so.
func (l Layout) Beside(node state.NodeAddr) string {
	return filepath.Join(l.Staging(), "."+node.Dir()+".beside")
}

// Roots holds the copies of snapshots that became the host's root.
func (l Layout) Roots() string { return filepath.Join(l.Dir(), "subvolumes") }

// Images holds the deployment images.
func (l Layout) Images() string { return filepath.Join(l.Dir(), "deployment", "images") }

// State holds what opdbus knows; no rollback replaces it.
func (l Layout) State() string { return filepath.Join(l.Dir(), "state") }

// Ledger is the file that says what is owned.
func (l Layout) Ledger() string { return filepath.Join(l.State(), "ledger.json") }

// Lock is the file that a run locks.
func (l Layout) Lock() string { return filepath.Join(l.State(), "lock") }

// Held is the file that says which plans are held.
func (l Layout) Held() string { return filepath.Join(l.State(), "held.json") }

// Pruning is the file that says which snapshots are being deleted.
func (l Layout) Pruning() string { return filepath.Join(l.State(), "pruning.json") }

// Content holds what the objects of a saved plan are made from, while it is applied; whoever has the lock may remove it.
func (l Layout) Content() string { return filepath.Join(l.State(), "content") }

// JournalDir holds a file a run.
func (l Layout) JournalDir() string { return filepath.Join(l.State(), "journal") }

// Key is the file that holds the key of fingerprints: 32 random bytes, made by Init.
func (l Layout) Key() string { return filepath.Join(l.State(), "key") }

// Image is the file that holds the store's file system where its directory is not on btrfs.
func (l Layout) Image() string { return l.Dir() + imageSuffix }

const imageSuffix = ".btrfs"

// A directory is one that the store has, and its mode. What may hold old or secret content is root's only.
type directory struct {
	path string
	mode fs.FileMode
}

func (l Layout) directories() []directory {
	return []directory{
		{l.Staging(), 0o755},
		{l.Snapshots(), 0o700},
		{filepath.Dir(l.Images()), 0o755},
		{l.Images(), 0o755},
		{l.State(), 0o700},
		{l.JournalDir(), 0o700},
	}
}
