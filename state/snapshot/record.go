package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state"
)

// Where a record is within a node's subvolume and within its snapshots.
const (
	RecordDir  = ".opdbus"
	recordFile = "snapshot.json"
	// previousFile is the record that a step found, kept until the step's own last one, so that taking the step back gives
	// back the same tree.
	previousFile = "previous.json"
)

// RecordPath is where the record of the subvolume at dir is.
func RecordPath(dir string) string { return filepath.Join(dir, RecordDir, recordFile) }

// recordVersion is that of the records written; others are refused.
const recordVersion = 1

// A Head says which snapshot this is. Run and step give its place among the others; its time does not.
type Head struct {
	Version int            `json:"version"` // set by who writes it
	Run     int            `json:"run"`
	Step    int            `json:"step"`
	Node    state.NodeAddr `json:"node,omitzero"`
	// Subvolume is the path of one that belongs to no node, and is snapshotted with others before and after a run.
	Subvolume string    `json:"subvolume,omitempty"`
	Phase     Phase     `json:"phase"`
	Plan      string    `json:"plan"` // the plan's digest
	Created   time.Time `json:"created"`
	// Existed says whether the node's subvolume was there before the run.
	Existed bool `json:"existed"`
}

// A Record is what a snapshot says of itself: of which step of which run it is, and what the objects were that the node
// owned or was about to change.
type Record struct {
	Head
	Objects []Object
}

// An Object is the live value of one object in its JSON form, nil when it was absent.
type Object struct {
	Addr state.Addr      `json:"addr"`
	Live json.RawMessage `json:"live"`
}

// Of is what the snapshot is of: a node's address, or "subvolume" and its path.
func (h Head) Of() string {
	if h.Subvolume != "" {
		return "subvolume " + h.Subvolume
	}
	return h.Node.String()
}

// dir is what names whose snapshot it is within the snapshot's own name.
func (h Head) dir() string {
	switch h.Subvolume {
	case "":
		return h.Node.Dir()
	case "/":
		return "subvolume-root"
	}
	return "subvolume" + strings.ReplaceAll(h.Subvolume, "/", "-")
}

func (h Head) check() error {
	switch {
	case h.Version != recordVersion:
		return fmt.Errorf("it is of version %d, and only %d is known here", h.Version, recordVersion)
	case h.Run < 0 || h.Step < 0:
		return fmt.Errorf("run %d and step %d are not both numbers from 0", h.Run, h.Step)
	case h.Node == state.NodeAddr{} && h.Subvolume == "":
		return errors.New("it names neither a node nor a subvolume")
	case h.Node != state.NodeAddr{} && h.Subvolume != "":
		return errors.New("it names both a node and a subvolume")
	case h.Phase.order() < 0:
		return fmt.Errorf("phase %q is unknown", h.Phase)
	case h.Created.IsZero():
		return errors.New("it has no creation time")
	}
	return nil
}

// encode writes the head first and the objects last, a line each, so that the head can be read without them. Live values
// are taken to be JSON and go in as they are.
func (r Record) encode() ([]byte, error) {
	r.Version = recordVersion
	r.Created = r.Created.UTC()
	if err := r.check(); err != nil {
		return nil, err
	}
	head, err := json.Marshal(r.Head)
	if err != nil {
		return nil, err
	}
	size := len(head)
	for _, o := range r.Objects {
		size += len(o.Live) + len(o.Addr.Key) + 100
	}
	b := append(make([]byte, 0, size), head[:len(head)-1]...)
	b = append(b, `,"objects":[`...)
	for i, o := range r.Objects {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"addr\":"...)
		addr, err := json.Marshal(o.Addr.String())
		if err != nil {
			return nil, err
		}
		b = append(b, addr...)
		b = append(b, `,"live":`...)
		if o.Live == nil {
			b = append(b, "null"...)
		}
		b = append(b, o.Live...)
		b = append(b, '}')
	}
	return append(b, "\n]}\n"...), nil
}
