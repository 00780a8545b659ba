// Package stage looks after stages: a stage's files in the node's subvolume (payload), what stands for them in the
// system (file), and the mark of a deployed stage (marker). It may import state, providers/internal/* and
// golang.org/x/sys/unix.
package stage

import (
	"path/filepath"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
	"github.com/opdbus/opdbus/state"
)

// Kinds are the kinds of stages.
func Kinds(host state.Host) state.Kinds {
	h := newHost(host)
	stage := state.KindOf[Stage](provider, "stage", &stages{h})
	payload := state.KindOf[Payload](provider, "payload", &payloads{host: h})
	file := state.KindOf[File](provider, "file", &files{host: h})
	marker := state.KindOf[Marker](provider, "marker", &markers{h})
	payload.InTree, marker.InTree = true, true
	return state.Kinds{stage, payload, file, marker}
}

const provider = "stage"

// A host is what the providers of this package share.
type host struct {
	state.Host
	fs    hostfs.FS
	scans *scans
}

func newHost(h state.Host) *host {
	return &host{Host: h, fs: hostfs.FS{Root: h.Root, Closed: []string{h.Store}}, scans: newScans()}
}

// inside is a path in a node's tree as seen from inside the root.
func (h *host) inside(node state.NodeAddr, path string) string {
	return h.staging() + node.Dir() + "/" + path
}

// staging is where all trees are, as seen from inside the root, with a slash at the end.
func (h *host) staging() string { return h.Store + "/staging/" }

// dir is a node's tree for this process.
func (h *host) dir(node state.NodeAddr) string { return h.Path(h.staging() + node.Dir()) }

// index is the file of one of a node's indexes: of its source, its tree, or its copies.
func (h *host) index(node state.NodeAddr, of string) string {
	return filepath.Join(h.Path(h.Store), "state", "index", node.Dir()+"."+of)
}

const (
	ofSource = "source"
	ofTree   = "tree"
	ofCopies = "copies"
)
