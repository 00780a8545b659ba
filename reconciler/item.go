package reconciler

import (
	"encoding/json"
	"errors"

	"github.com/opdbus/opdbus/state"
)

// An item is one object on its way through the three-way comparison: what the ledger has, what is live, what is wanted.
type item struct {
	addr     state.Addr
	kind     *state.Kind
	node     *state.Node     // nil when the node is no longer declared
	declared *state.Declared // nil when the object is no longer declared
	raw      json.RawMessage // the ledger's entry; nil when it has none
	madeAt   state.Addr      // where the ledger has it, when that is another address
	forget   bool            // given up rather than deleted
	kept     bool            // no longer declared, but used by what is
	secret   []string        // the attributes that are, or were, sensitive
	made     state.Object    // raw, decoded when it is needed
	live     state.Object
	want     state.Object // nil: it is to be gone
	compared bool         // whether it is settled is known, for what is live and wanted now
	asWanted bool
}

func (it *item) owned() bool { return it.raw != nil }

func (it *item) setLive(live state.Object) { it.live, it.compared = live, false }
func (it *item) setWant(want state.Object) { it.want, it.compared = want, false }

// settled says that the host and the ledger have what is wanted already.
func (it *item) settled() bool {
	if !it.compared {
		it.compared, it.asWanted = true, it.owned() && it.madeAt == (state.Addr{}) && it.there() && it.kind.Recorded(it.raw, it.want)
	}
	return it.asWanted
}

// there says that the host has what is wanted already.
func (it *item) there() bool { return it.want != nil && state.Same(it.live, it.want) }

// decode decodes the ledger's entry.
func (it *item) decode() (err error) {
	if it.made == nil && it.raw != nil {
		it.made, err = it.kind.Decode(it.raw)
	}
	return err
}

func (it *item) source(attr string) state.Range {
	if it.declared == nil {
		return state.Range{}
	}
	return at(it.declared, attr)
}

// change is what has to be done about the item; changed is false when nothing has to.
func (it *item) change(o PlanOptions, housing func(thing string) bool) (c state.Change, changed bool, err error) {
	if it.settled() && !replaces(o, it.addr) {
		return c, false, nil
	}
	if err := it.decode(); err != nil {
		return c, false, err
	}
	c = state.Change{Addr: it.addr, Before: it.live, After: it.want, Made: it.made, MadeAt: it.madeAt, Cause: state.CauseConfig, Sensitive: it.secret}
	if it.declared != nil {
		c.Source = it.declared.Source
	}
	if it.kept && (it.live == nil || !it.kind.Owns(it.made, it.live)) { // then it is not what is used
		it.setWant(nil)
	}
	if it.want == nil {
		c.After, c.Forget = nil, it.forget || it.live == nil || !it.kind.Owns(it.made, it.live)
		if c.Forget {
			c.Before, c.After = it.live, it.live
			c.Note = forgetNote(it)
		}
		return c, true, nil
	}
	// Somebody else made the host be as it is wanted now, or it is wanted as another type: only the ledger has to learn of it.
	learns := it.owned() && it.madeAt == (state.Addr{}) && it.there() && !it.settled() && !it.moves()
	it.ignore()
	c.After = it.want
	if it.live != nil && !it.kind.Owns(it.made, it.live) && (it.moves() || !becomesHolder(it.live, it.want, housing)) {
		claimed, err := it.kind.Claim(it.want, it.live)
		switch {
		case err == nil:
			c.After = claimed
		case !learns: // of what is there exactly as it is wanted, nothing would be overwritten
			return c, false, &conflictError{err}
		}
		// What is adopted is ours from now on, so that the ledger's entry, if any, is of another thing.
		if state.Same(c.After, it.live) {
			c.Made = nil
			return c, true, nil
		}
	}
	if it.made != nil && it.madeAt == (state.Addr{}) && state.Same(it.made, it.want) && !state.Same(it.live, c.After) {
		c.Cause = state.CauseDrift
		if it.node.Drift == "alert" || it.node.Drift == "observe" {
			return c, false, nil
		}
	}
	if learns {
		c.Made, c.Note = nil, "what it is to opdbus changes, not what it is"
	}
	c.Replace = replaces(o, it.addr) && it.live != nil
	return c, c.Action() != state.None || it.madeAt != (state.Addr{}), nil
}

// moves says that the object is to be another thing on the host than the one that was made, which has to go then.
func (it *item) moves() bool {
	made, ok := it.made.(state.Thing)
	if !ok {
		return false
	}
	want, ok := it.want.(state.Thing)
	return ok && made.Thing() != want.Thing()
}

// drift is what differs between the ledger and the host.
func (it *item) drift() (c state.Change, drifted bool) {
	if it.raw == nil || it.madeAt != (state.Addr{}) || it.there() || it.decode() != nil || state.Same(it.made, it.live) {
		return c, false
	}
	c = state.Change{Addr: it.addr, Before: it.made, After: it.live, Made: it.made, Cause: state.CauseDrift, Sensitive: it.secret}
	if it.declared != nil {
		c.Source = it.declared.Source
	}
	return c, true
}

func forgetNote(it *item) string {
	switch {
	case it.forget:
		return ""
	case it.live == nil:
		return "it is gone already"
	}
	return "it is no longer what opdbus made"
}

func replaces(o PlanOptions, a state.Addr) bool {
	for _, r := range o.Replaces {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// A conflictError is what Claim said about something of somebody else's.
type conflictError struct{ err error }

func (e *conflictError) Error() string { return e.err.Error() }
func (e *conflictError) Unwrap() error { return e.err }

func asConflict(err error) (*conflictError, bool) {
	var c *conflictError
	return c, errors.As(err, &c)
}
