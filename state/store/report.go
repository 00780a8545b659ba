package store

import (
	"errors"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// A Report is what Init did, in order.
type Report []Step

// A Step is one thing that the store needs.
type Step struct {
	What string // such as "directory"
	Path string
	Made bool // by this Init; otherwise it was there already
}

func (s Step) String() string {
	if s.Made {
		return "made " + s.What + " " + s.Path
	}
	return s.What + " " + s.Path + " is there already"
}

// Made says whether there was anything to do.
func (r Report) Made() bool { return slices.ContainsFunc(r, func(s Step) bool { return s.Made }) }

// A work is an Init under way: what it has done, and how each of that is taken back.
type work struct {
	log    hclog.Logger
	report Report
	undos  []func() error
}

func (w *work) made(what, path string, undo func() error) {
	w.undos = append(w.undos, undo)
	w.note(Step{what, path, true})
}

func (w *work) there(what, path string) { w.note(Step{what, path, false}) }

func (w *work) note(s Step) {
	w.report = append(w.report, s)
	w.log.Debug("store", "what", s.What, "path", s.Path, "made", s.Made)
}

// undo takes everything back, last first.
func (w *work) undo() error {
	var errs []error
	for _, undo := range slices.Backward(w.undos) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}
