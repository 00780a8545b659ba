package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
)

// A Reason says why opdbus owns something: a node with its objects, or one object.
type Reason struct {
	Addr    state.Addr
	Objects []Owned
	Run     int      // the last run that changed the node
	Changed *PastRun // that run; nil when its journal is gone
	// Needs and NeededBy are the node's neighbours among what is owned.
	Needs, NeededBy []state.NodeAddr
	// Declared is where the configuration declares it; zero without a configuration, and when it does not.
	Declared state.Range
}

// Why finds out why something is owned. config may be nil.
func (r *Reconciler) Why(ctx context.Context, config *state.Config, l *ledger.Ledger, a state.Addr) (*Reason, error) {
	w := &Reason{Addr: a, Declared: declared(config, a)}
	node := l.Node(a.Node)
	if node == nil || !a.IsNode() && node.Made(a.Local()) == nil {
		if !w.Declared.IsZero() {
			return nil, fmt.Errorf("opdbus owns nothing at %s: it is declared at %s:%d and has not been made; opdbus plan shows what would be", a, w.Declared.Relative(config.Dir), w.Declared.Line)
		}
		return nil, fmt.Errorf("opdbus owns nothing at %s; opdbus state list shows what it owns", a)
	}
	var err error
	if w.Objects, err = r.Owned(ctx, l, []state.Addr{a}); err != nil {
		return nil, err
	}
	w.Run, w.Needs = node.Run, node.DependsOn
	for _, other := range l.Addrs() {
		if slices.Contains(l.Node(other).DependsOn, a.Node) {
			w.NeededBy = append(w.NeededBy, other)
		}
	}
	story, err := journal.Read(r.Store.JournalDir(), node.Run)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if story != nil {
		past := pastRun(story, nil)
		w.Changed = &past
	}
	return w, nil
}

// declared is where a configuration declares something.
func declared(config *state.Config, a state.Addr) state.Range {
	if config == nil {
		return state.Range{}
	}
	n := config.Node(a.Node)
	switch {
	case n == nil:
		return state.Range{}
	case a.IsNode():
		return n.Source
	}
	for _, d := range n.Objects {
		if d.Addr == a {
			return d.Source
		}
	}
	return state.Range{}
}
