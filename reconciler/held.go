package reconciler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/durable"
	"github.com/opdbus/opdbus/state/journal"
)

// A Held plan was taken back, by hand or because it failed. It is not applied again unless somebody is there to say so, the
// configuration changes, or it is released: an unattended apply would only bring back what somebody, or a check, refused.
type Held struct {
	Run    int              `json:"run"`           // that was taken back
	By     int              `json:"by,omitempty"`  // the run that took it back; 0: itself, as it failed
	Digest string           `json:"digest"`        // of its plan
	Config string           `json:"config"`        // the configuration's digest
	Nodes  []state.NodeAddr `json:"nodes"`         // that were taken back
	Since  time.Time        `json:"since"`         // it is held
	Why    string           `json:"why,omitempty"` // it failed
}

func (h Held) String() string {
	if h.By > 0 {
		return fmt.Sprintf("run %d, taken back by run %d", h.Run, h.By)
	}
	return fmt.Sprintf("run %d, which failed and was taken back: %s", h.Run, h.Why)
}

// holds says whether a plan with a digest is what is held: it is the same, or of the same configuration and about a node that was
// taken back.
func (h Held) holds(p *state.Plan, digest string) bool {
	return h.Digest == digest || h.Config != "" && h.Config == p.Config && slices.ContainsFunc(p.Nodes, func(n *state.NodePlan) bool {
		return !n.Delete && slices.Contains(h.Nodes, n.Addr)
	})
}

// A HeldError says that a plan is held.
type HeldError struct{ Held Held }

func (e *HeldError) Error() string {
	return fmt.Sprintf("the plan is held: it is that of %s. Change the configuration, run opdbus release, or apply it where you can be asked, without --auto-approve", e.Held)
}

const heldVersion = 1

type heldFile struct {
	Version int    `json:"version"`
	Held    []Held `json:"held"`
}

// Held lists the plans that are held.
func (r *Reconciler) Held() ([]Held, error) {
	data, err := os.ReadFile(r.Store.Held())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell which plans are held: %w", err)
	}
	held, err := DecodeHeld(data)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which plans are held: %s: %w; opdbus release makes it anew, after which none is", r.Store.Held(), err)
	}
	return held, nil
}

// DecodeHeld reads the list of held plans from its file's bytes.
func DecodeHeld(data []byte) ([]Held, error) {
	var f heldFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Version != heldVersion {
		return nil, fmt.Errorf("its format is version %d, and this opdbus knows version %d only", f.Version, heldVersion)
	}
	return f.Held, nil
}

// HeldBack finds what holds a plan; nil when nothing does.
func (r *Reconciler) HeldBack(p *state.Plan) (*HeldError, error) {
	if p.Rollback != "" || p.Empty() {
		return nil, nil
	}
	all, err := r.Held()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	digest, err := p.Digest(r.Key)
	if err != nil {
		return nil, err
	}
	for _, h := range slices.Backward(all) {
		if h.holds(p, digest) {
			return &HeldError{h}, nil
		}
	}
	return nil, nil
}

// Release lets go of the held plan with a digest, or of all, and tells which that were. Its caller holds the lock.
func (r *Reconciler) Release(digest string) ([]Held, error) {
	all, err := r.Held()
	if err != nil && digest != "" {
		return nil, err
	}
	var kept, released []Held
	for _, h := range all {
		if digest == "" || h.Digest == digest {
			released = append(released, h)
		} else {
			kept = append(kept, h)
		}
	}
	if len(released) == 0 && err == nil {
		return nil, nil
	}
	return released, r.saveHeld(kept)
}

func (r *Reconciler) saveHeld(held []Held) error {
	if len(held) == 0 {
		if err := os.Remove(r.Store.Held()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot let go of the plans that are held: %w", err)
		}
		return nil
	}
	data, err := json.MarshalIndent(heldFile{heldVersion, held}, "", "  ")
	if err == nil {
		err = durable.WriteFile(r.Store.Held(), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot write which plans are held: %w", err)
	}
	return nil
}

// holdFailed holds the plan of a run that failed and was taken back.
func (run *run) holdFailed(why error) error {
	if run.rollback != "" {
		return nil
	}
	h := Held{Run: run.number, Digest: run.planned, Config: run.config, Since: time.Now().UTC().Truncate(time.Second)}
	h.Why, _, _ = strings.Cut(why.Error(), "\n")
	for _, b := range run.steps {
		if run.undone[b.Step] {
			h.Nodes = append(h.Nodes, b.Node)
		}
	}
	all, err := run.Held()
	if err != nil {
		return err
	}
	return run.saveHeld(append(slices.DeleteFunc(all, func(o Held) bool { return o.Digest == h.Digest }), h))
}

// settleHeld brings what is held up to date with a run that was applied. One that took back others holds their plans, and lets go
// of what it was itself that held; any other is another configuration, or somebody has said that it may be applied.
func (run *run) settleHeld() error {
	all, err := run.Held()
	if err != nil {
		return err
	}
	before := len(all)
	var taken []Held
	if run.rollback == "" {
		all = slices.DeleteFunc(all, func(h Held) bool { return h.Config != run.config || h.Digest == run.planned || touches(h, run.steps) })
	} else if all, taken, err = run.heldByRollback(all); err != nil {
		return err
	}
	if len(all) == before && len(taken) == 0 {
		return nil
	}
	return run.saveHeld(append(all, taken...))
}

func touches(h Held, steps []journal.Begun) bool {
	return slices.ContainsFunc(steps, func(b journal.Begun) bool { return slices.Contains(h.Nodes, b.Node) })
}

// heldByRollback is what stays held after a rollback, and what it holds.
func (run *run) heldByRollback(all []Held) (kept, taken []Held, err error) {
	for _, b := range run.steps {
		for _, s := range b.Back.Steps {
			story, err := journal.Read(run.Store.JournalDir(), s.Run)
			if err != nil {
				return nil, nil, err
			}
			if story.Run.Rollback != "" { // taken back itself: what it had taken back is there again
				for i := range all {
					if all[i].By == s.Run {
						all[i].Nodes = slices.DeleteFunc(slices.Clone(all[i].Nodes), func(a state.NodeAddr) bool { return a == b.Node })
					}
				}
				continue
			}
			i := slices.IndexFunc(taken, func(h Held) bool { return h.Run == s.Run })
			if i < 0 {
				i = len(taken)
				taken = append(taken, Held{Run: s.Run, By: run.number, Digest: story.Run.Digest, Config: story.Run.Config, Since: time.Now().UTC().Truncate(time.Second)})
			}
			taken[i].Nodes = append(taken[i].Nodes, b.Node)
		}
	}
	all = slices.DeleteFunc(all, func(h Held) bool { return len(h.Nodes) == 0 && h.By > 0 })
	return all, taken, nil
}
