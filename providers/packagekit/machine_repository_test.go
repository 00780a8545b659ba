package packagekit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/packagekit"
	"github.com/opdbus/opdbus/state"
)

func ensure(o state.Object) string {
	if o == nil {
		return ""
	}
	return o.(packagekit.Package).Ensure
}

func TestOnMachineRepositories(t *testing.T) {
	w := newWorld(t)
	const file = "/etc/apt/sources.list.d/opdbus-test-second.list"
	sh(t, "mkdir -p /srv/second && touch /srv/second/Packages && echo 'deb [trusted=yes] file:/srv/second ./' >"+file)
	t.Cleanup(func() { sh(t, "rm -rf /srv/second "+file) })
	kind := w.kind(packagekit.Repository{})
	all, ok, err := kind.List(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	var id string
	for _, o := range all {
		if r := o.(packagekit.Repository); len(r.ID) > len(file) && r.ID[:len(file)] == file {
			id = r.ID
			assert.True(t, r.Enabled)
		}
	}
	require.NotEmpty(t, id, "%+v", all)
	off := packagekit.Repository{ID: id}
	uses := func() string { return sh(t, "grep -c '^deb' "+file+" || true") }

	t.Run("is disabled, and enabled again by whatever takes that back", func(t *testing.T) {
		changes := w.make(off)
		assert.Equal(t, "0", uses())
		w.does(changes)
		assert.Equal(t, "0", uses(), "made again")
		w.undo(changes)
		assert.Equal(t, "1", uses())
		changes = w.make(off)
		dropped, err := w.plan(intent{made: changes[0].After})
		require.NoError(t, err)
		w.does(dropped)
		assert.Equal(t, "1", uses())
		assert.True(t, state.Same(packagekit.Repository{ID: id, Enabled: true}, w.read(off)[0]))
	})

	t.Run("one that is not known is refused, with those that are", func(t *testing.T) {
		_, err := w.plan(intent{want: packagekit.Repository{ID: "nobody's", Enabled: true}})
		require.ErrorContains(t, err, `the host knows no repository "nobody's"; it knows "`)
		assert.ErrorContains(t, err, id)
	})

	t.Run("what happens to its file is heard of", func(t *testing.T) {
		heard := make(chan []state.Addr, 100)
		require.NoError(t, kind.Watch(t.Context(), []state.Addr{addr(off)}, []state.Object{off}, func(named []state.Addr, err error) {
			assert.NoError(t, err)
			heard <- named
		}))
		sh(t, "echo '# seen' >>"+file)
		assert.Equal(t, []state.Addr{addr(off)}, <-heard)
	})

	t.Run("all are read by one transaction", func(t *testing.T) {
		other := packagekit.Repository{ID: "nobody's"}
		assert.Equal(t, 1, w.transactions(func() { assert.Nil(t, w.read(off, other)[1]) }))
	})
}
