package providertest

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

// A Suite is a kind and two states of one object, to be put to the test where the object is absent.
type Suite struct {
	Kind *state.Kind
	Site state.Site
	Addr state.Addr
	A, B state.Object
	// Bare is A as it is wanted by somebody who leaves out what can be left out; nil when nothing can be.
	Bare state.Object
	// Found is the object as it is before opdbus comes, where the thing is there already: what A and B, which were claimed over it, go
	// back to. Nil: it is absent.
	Found state.Object
	// Dirs are all that the kind could touch in files, and Also prints what it could touch besides; nil: nothing.
	Dirs []string
	Also func() string
}

// claimed is a state as it is wanted over what was found.
func (s Suite) claimed(t *testing.T, o state.Object) state.Object {
	t.Helper()
	if s.Found == nil || o == nil {
		return o
	}
	o, err := s.Kind.Claim(o, s.Found)
	require.NoError(t, err)
	return o
}

func (s Suite) world(t *testing.T) string {
	t.Helper()
	all := World(t, s.Dirs...)
	if s.Also != nil {
		all += s.Also()
	}
	return all
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	s.A, s.B = s.claimed(t, s.A), s.claimed(t, s.B)
	s.reads(t, s.A, s.Found, "absent")
	absent := s.world(t)

	s.applies(t, s.Found, s.A, "create")
	s.reads(t, s.A, s.A, "create")
	a := s.world(t)
	s.applies(t, s.Found, s.A, "create again")
	require.Equal(t, a, s.world(t), "create again, as after a cut, changes nothing")
	s.readsOnly(t)
	if s.Bare != nil {
		s.reads(t, s.Bare, s.Bare, "attributes that are not set are not managed")
	}

	s.applies(t, s.A, s.B, "update")
	s.reads(t, s.B, s.B, "update")
	b := s.world(t)
	assert.NotEqual(t, a, b, "the two states are different")
	s.applies(t, s.A, s.B, "update again")
	require.Equal(t, b, s.world(t), "update again, as after a cut, changes nothing")

	s.applies(t, s.B, s.A, "undo update")
	require.Equal(t, a, s.world(t), "undo update")
	s.applies(t, s.A, nil, "undo create")
	s.reads(t, s.A, s.Found, "undo create")
	require.Equal(t, absent, s.world(t), "undo create")
	s.applies(t, s.A, nil, "delete again")
	require.Equal(t, absent, s.world(t), "delete again, as after a cut, changes nothing")

	s.thereAndBack(t, absent)
	s.keeps(t, s.A)
	s.keeps(t, s.B)
}

// thereAndBack takes each way through the states, and the inverses of its changes back.
func (s Suite) thereAndBack(t *testing.T, absent string) {
	t.Helper()
	for _, way := range [][]state.Object{{s.Found, s.B}, {s.Found, s.A, s.B}, {s.Found, s.B, s.A}, {s.Found, s.A, nil, s.B}} {
		var changes []state.Change
		for i := range way[1:] {
			changes = append(changes, state.Change{Addr: s.Addr, Before: way[i], After: way[i+1]})
		}
		for _, c := range changes {
			s.applies(t, c.Before, c.After, "there")
		}
		for _, c := range slices.Backward(changes) {
			c = c.Inverse()
			s.applies(t, c.Before, c.After, "and back")
		}
		require.Equal(t, absent, s.world(t), "there and back by inverse")
	}
}

// keeps checks that the ledger's form of an object loses nothing of its state.
func (s Suite) keeps(t *testing.T, o state.Object) {
	t.Helper()
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	decoded, err := s.Kind.Decode(raw)
	require.NoError(t, err)
	assert.True(t, state.Same(o, decoded), "%s is the same after JSON: %s", o.Key(), raw)
	again, err := json.Marshal(decoded)
	require.NoError(t, err)
	assert.Equal(t, string(raw), string(again))
}

func (s Suite) applies(t *testing.T, before, after state.Object, what string) {
	t.Helper()
	require.NoError(t, s.Kind.Apply(t.Context(), s.Site, []state.Change{{Addr: s.Addr, Before: before, After: after}}), what)
}

func (s Suite) reads(t *testing.T, want, expected state.Object, what string) {
	t.Helper()
	lives, err := s.Kind.Read(t.Context(), []state.Addr{s.Addr}, []state.Object{want})
	require.NoError(t, err, what)
	require.Len(t, lives, 1)
	require.True(t, state.Same(expected, lives[0]), "%s: want %+v, live %+v", what, expected, lives[0])
}

// readsOnly checks that reading changes nothing, not even a time.
func (s Suite) readsOnly(t *testing.T) {
	t.Helper()
	before := Stamps(t, s.Dirs...)
	s.reads(t, s.A, s.A, "read")
	require.Equal(t, before, Stamps(t, s.Dirs...), "reading changes nothing")
}
