// Package journal keeps what a run is doing: one file a run, one JSON record a line, appended and brought to disk
// before the host is touched. Whatever cuts a run off, its journal says what has to be looked at. It may import state
// and the standard library.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Record is one line. Exactly one of its members is set.
type Record struct {
	Run    *Run    `json:"run,omitempty"`    // the run begins
	Begun  *Begun  `json:"begun,omitempty"`  // a node's step begins; nothing of it has been done yet
	Done   *Done   `json:"done,omitempty"`   // a node's step is complete, the ledger included
	Undone *Undone `json:"undone,omitempty"` // a node's step has been taken back
	End    *End    `json:"end,omitempty"`    // nothing is left to be done
	// Confirm says until when somebody has to confirm the run, or it is taken back. It may be said again with a later time.
	Confirm *Confirm `json:"confirm,omitempty"`
}

// A Run is what begins.
type Run struct {
	Run       int       `json:"run"`
	Command   string    `json:"command"`
	Opdbus    string    `json:"opdbus"`
	Host      string    `json:"host"`
	Config    string    `json:"config"`
	Commit    string    `json:"commit,omitempty"`
	Digest    string    `json:"digest"` // of the plan
	OnFailure string    `json:"on_failure"`
	Started   time.Time `json:"started"`
	Steps     int       `json:"steps"` // planned
	// Before is the ledger's head as it was: a run that is taken back puts it back.
	Before ledger.Head `json:"before"`
	// Rollback is what a run that takes back others goes back to; empty for others.
	Rollback string `json:"rollback,omitempty"`
	// Triggers are those that are to be fired: with the changes or, in a run that takes back others, after the last step.
	Triggers []state.Triggering `json:"triggers,omitempty"`
	// Registry is where plugins are registered: what finishes the run, or takes it back, has no configuration to tell.
	Registry string `json:"registry,omitempty"`
	// Plan is the id of the saved plan that was applied, which is applied once only; empty for a plan that was not saved.
	Plan string `json:"plan,omitempty"`
	// Subvolume is what a run restores that is about one which belongs to no node; nil for others. Such a run has no steps.
	Subvolume *Subvolume `json:"subvolume,omitempty"`
}

// A Subvolume is one that goes back to what it was when a snapshot was taken of it.
type Subvolume struct {
	Path     string `json:"path"`
	Snapshot string `json:"snapshot"`
	// Was is the number of the subvolume that stood there; 0: there was none. Of a mounted root, it is that of the file system's default.
	Was uint64 `json:"was,omitempty"`
	// Root says that it is the mounted root, which the next boot exchanges.
	Root bool `json:"root,omitempty"`
}

// A Confirm is until when a run has to be confirmed. The boot id tells a time before a reboot from one after it.
type Confirm struct {
	By   time.Time `json:"by"`
	Boot string    `json:"boot"`
}

// Begun says everything about a step that taking it back needs.
type Begun struct {
	Step      int              `json:"step"`
	Node      state.NodeAddr   `json:"node"`
	DependsOn []state.NodeAddr `json:"depends_on,omitempty"` // as the ledger had them
	NodeRun   int              `json:"node_run,omitempty"`   // the run that had last changed the node
	Existed   bool             `json:"existed"`              // the node's subvolume was there
	Delete    bool             `json:"delete,omitempty"`     // the node goes
	Pre       string           `json:"pre"`                  // the snapshot that is taken before the changes
	Needs     []state.NodeAddr `json:"needs,omitempty"`      // what the node depends on afterwards
	Back      *state.Back      `json:"back,omitempty"`       // where the node goes back to, in a run that takes back others
	// Was is, in such a run, what the ledger had of the nodes that Back says what it has of afterwards.
	Was     []state.Ownership `json:"was,omitempty"`
	Changes []Change          `json:"changes"`
}

// A Change is a state.Change with its objects as JSON.
type Change struct {
	Object string          `json:"object"` // its address within the node
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Made is the ledger's entry before the change and At its place there; nil when there was none. Its Object is the address
	// within the node that owned it, which is another one than the change's when the object has moved.
	Made *ledger.Entry `json:"made,omitempty"`
	At   int           `json:"at,omitempty"`
	// Origin is where the entry stood when that was under another address.
	Origin *Origin `json:"origin,omitempty"`
	// HandsTo is the address that owns it afterwards, when that is another one, which only a run that takes back others has.
	HandsTo *state.Addr `json:"hands_to,omitempty"`
	Forget  bool        `json:"forget,omitempty"`
	// Replace says that it is deleted and made again.
	Replace bool          `json:"replace,omitempty"`
	Trigger state.Trigger `json:"trigger,omitempty"` // what it does besides
	// Sensitive names the attributes that are secret: whoever shows the change masks them.
	Sensitive []string `json:"sensitive,omitempty"`
}

// An Origin is the address that owned an object before another took it over, and what the ledger had of its node.
type Origin struct {
	Addr      state.Addr       `json:"addr"`
	DependsOn []state.NodeAddr `json:"depends_on,omitempty"`
	NodeRun   int              `json:"node_run,omitempty"`
}

// Done says that a step is complete.
type Done struct {
	Step int    `json:"step"`
	Post string `json:"post"` // the snapshot taken after the changes
}

// Undone says that a step has been taken back.
type Undone struct {
	Step int `json:"step"`
}

// End says how a run ended: applied, taken back, or kept (failed with on_failure = "stop"). A broken run, which could not be
// taken back wholly, has not ended: the next recovery goes on with it.
type End struct {
	Outcome string    `json:"outcome"`
	Error   string    `json:"error,omitempty"`
	Ended   time.Time `json:"ended"`
	// Pending are triggers that what stays of the run, or of one before it, should have fired.
	Pending []state.Triggering `json:"pending,omitempty"`
}

// The outcomes of a run.
const (
	Applied   = "applied"
	TakenBack = "taken back"
	Kept      = "kept"
	Broken    = "broken"
)

// A Journal is an open run's records. Its methods may be called concurrently.
type Journal struct {
	mu    sync.Mutex
	file  *os.File
	whole int64 // how much of the file is whole records that are on disk
	torn  bool  // what stands behind that could not be cut away
}

// Create begins the journal of a run in dir.
func Create(dir string, run Run) (*Journal, error) {
	f, err := os.OpenFile(Path(dir, run.Run), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot begin the journal of run %d: %w", run.Run, err)
	}
	j := &Journal{file: f}
	if err = j.Append(Record{Run: &run}); err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return j, nil
}

// Continue opens the journal of a run that was cut off, to take it back. A torn last line is cut away, so that what is
// appended stands on a line of its own.
func Continue(dir string, run int) (*Journal, error) {
	path := Path(dir, run)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal of run %d: %w", run, err)
	}
	whole := int64(bytes.LastIndexByte(data, '\n') + 1)
	if whole < int64(len(data)) {
		if err := os.Truncate(path, whole); err != nil {
			return nil, fmt.Errorf("cannot mend the journal of run %d: %w", run, err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot continue the journal of run %d: %w", run, err)
	}
	return &Journal{file: f, whole: whole}, nil
}

// Append writes a record and brings it to disk. One that fails has not been said: what was written of it is cut away, since
// the next record would stand on the same line, or a step that is then taken back would be told to be done.
func (j *Journal) Append(r Record) error {
	line, err := r.encode()
	if err != nil {
		return fmt.Errorf("cannot encode a journal record: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.torn {
		if err := j.mend(); err != nil {
			return err
		}
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write the journal: %w", err), j.mend())
	}
	if err := j.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("cannot bring the journal to disk: %w", err), j.mend())
	}
	j.whole += int64(n)
	return nil
}

// mend cuts away what stands behind the last record that is on disk.
func (j *Journal) mend() error {
	err := j.file.Truncate(j.whole)
	if err == nil {
		err = j.file.Sync()
	}
	j.torn = err != nil
	if err != nil {
		return fmt.Errorf("cannot mend the journal: %w", err)
	}
	return nil
}

// Close closes the file; the records are on disk already.
func (j *Journal) Close() error { return j.file.Close() }

// Path is the file of a run's journal.
func Path(dir string, run int) string { return filepath.Join(dir, strconv.Itoa(run)+".jsonl") }

// Runs lists the runs that have a journal, ascending.
func Runs(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the journals: %w", err)
	}
	var runs []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".jsonl")
		if n, err := strconv.Atoi(name); ok && err == nil && n > 0 {
			runs = append(runs, n)
		}
	}
	slices.Sort(runs)
	return runs, nil
}
