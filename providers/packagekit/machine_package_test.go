package packagekit_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/packagekit"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachinePackages(t *testing.T) {
	outer := newWorld(t)
	known(t)

	t.Run("the contract", func(t *testing.T) {
		w := outer.within(t)
		// What the suite compares is there also when the package is not.
		dir := "/usr/share/opdbus-test-a"
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(dir+"/somebody-elses", nil, 0o644))
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		a := at("a", "1.0")
		providertest.Run(t, providertest.Suite{Kind: w.kind(a), Addr: addr(a), A: a, B: at("a", "1.1"), Bare: pkg("a", ""), Dirs: []string{dir, "/var/lib/dpkg/info"}})
	})

	t.Run("what comes along is said, goes with it, and stays where others need it", func(t *testing.T) {
		w := outer.within(t)
		changes := w.make(pkg("b", ""))
		assert.Equal(t, []string{"also installs opdbus-test-c 1.0"}, w.disturbs(changes))
		assert.Nil(t, changes[0].Before)
		assert.Equal(t, "ii b 1.0, ii c 1.0", installed(t))
		assert.Contains(t, w.heard(), "PackageKit: installing opdbus-test-b 1.0, ")
		w.undo(changes)
		assert.Empty(t, installed(t))
		w.undo(changes)
		assert.Empty(t, installed(t), "as after a cut")

		changes = w.make(pkg("b", ""))
		sh(t, "apt-mark manual opdbus-test-c")
		w.undo(changes)
		assert.Equal(t, "ii c 1.0", installed(t))
	})

	t.Run("the latest is what is the newest", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-a=1.0")
		assert.Equal(t, "installed", w.read(pkg("a", "latest"))[0].(packagekit.Package).Ensure)
		changes := w.make(pkg("a", "latest"))
		assert.Equal(t, []string{"replaces opdbus-test-a 1.0 by 1.1"}, w.disturbs(changes))
		assert.Equal(t, "ii a 1.1", installed(t))
		assert.Empty(t, w.kind(changes[0].After).Irreversible(changes[0]))
		w.undo(changes)
		assert.Equal(t, "ii a 1.0", installed(t))
	})

	t.Run("a version is kept to, and without one any will do", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-a=1.1")
		changes := w.make(at("a", "1.0"))
		assert.Equal(t, "ii a 1.0", installed(t))
		made := changes[0].After
		assert.True(t, state.Same(pkg("a", ""), w.read(pkg("a", ""))[0]))
		dropped, err := w.plan(intent{made: made})
		require.NoError(t, err)
		w.does(dropped)
		assert.Equal(t, "ii a 1.1", installed(t), "dropping it gives back what was there before")
		w.undo(dropped)
		assert.Equal(t, "ii a 1.0", installed(t))
	})

	t.Run("what is removed takes along what needs it, which is said and comes back with it, as automatic as it was", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-b opdbus-test-a=1.0")
		changes := w.make(pkg("c", "removed"), pkg("a", "removed"))
		assert.Contains(t, w.disturbs(changes), "also removes opdbus-test-b 1.0")
		assert.Equal(t, []string{"opdbus-test-b;1.0;all;"}, changes[0].After.(packagekit.Package).Dependents)
		assert.Empty(t, changes[1].After.(packagekit.Package).Dependents, "each is told what goes because of it")
		assert.Empty(t, installed(t))
		w.undo(changes)
		assert.Equal(t, "ii a 1.0, ii b 1.0, ii c 1.0", installed(t))
		assert.Equal(t, "opdbus-test-c", sh(t, "apt-mark showauto 'opdbus-test-*'"))
	})

	t.Run("what another displaces comes back when that goes", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-a=1.0")
		changes := w.make(pkg("rival", ""))
		assert.Equal(t, []string{"also removes opdbus-test-a 1.0"}, w.disturbs(changes))
		assert.Equal(t, "ii rival 1.0", installed(t))
		dropped, err := w.plan(intent{made: changes[0].After})
		require.NoError(t, err)
		w.does(dropped)
		assert.Equal(t, "ii a 1.0", installed(t))
	})

	t.Run("what is removed with its configuration left is removed", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-conf")
		changes := w.make(pkg("conf", "removed"))
		assert.Equal(t, "rc conf 1.0", installed(t))
		assert.Nil(t, w.read(pkg("conf", "installed"))[0])
		w.undo(changes)
		assert.Equal(t, "ii conf 1.0", installed(t))
	})

	t.Run("what cannot be had is refused by the plan, with what there is", func(t *testing.T) {
		w := outer.within(t)
		_, err := w.plan(intent{want: pkg("nothing", "")})
		assert.ErrorContains(t, err, "cannot install opdbus-test-nothing: no repository that is known has such a package")
		_, err = w.plan(intent{want: at("a", "7")})
		assert.ErrorContains(t, err, "cannot install opdbus-test-a 7: no repository that is known has this version; there is 1.1")
		_, err = w.plan(intent{want: pkg("lost", "")})
		assert.ErrorContains(t, err, "cannot install opdbus-test-lost 1.0: its dependencies cannot be had: ")
		assert.ErrorContains(t, err, "Depends: opdbus-test-nowhere but it is not installable")
		changes, err := w.plan(intent{want: pkg("nothing", "removed")})
		require.NoError(t, err)
		assert.True(t, state.Same(changes[0].Before, changes[0].After))
	})

	t.Run("what no repository has cannot come back, which is said", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "rm -rf /tmp/own && mkdir -p /tmp/own/DEBIAN && printf '%s\\n' 'Package: opdbus-test-a' 'Version: 0.5' 'Architecture: all' 'Maintainer: a <a@example.org>' 'Description: own' >/tmp/own/DEBIAN/control && "+
			"dpkg-deb --build /tmp/own /tmp/own.deb && dpkg --install /tmp/own.deb")
		for _, want := range []packagekit.Package{pkg("a", "latest"), pkg("a", "removed"), at("a", "1.0")} {
			changes, err := w.plan(intent{want: want})
			require.NoError(t, err)
			assert.Equal(t, "opdbus-test-a 0.5 is in no repository that is known", w.kind(want).Irreversible(changes[0]))
		}
		changes, err := w.plan(intent{want: pkg("a", "")})
		require.NoError(t, err)
		assert.Empty(t, w.kind(pkg("a", "")).Irreversible(changes[0]))
		changes = w.make(pkg("a", "latest"))
		err = w.apply(t.Context(), inverse(changes)...)
		assert.ErrorContains(t, err, "cannot install opdbus-test-a 0.5: no repository that is known has this version; there is 1.1")
		assert.Equal(t, "ii a 1.1", installed(t))
	})

	t.Run("one transaction reads all, and one each changes what comes and what goes", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-conf opdbus-test-a=1.0")
		wants := []state.Object{pkg("b", ""), pkg("a", "latest"), pkg("conf", "removed"), pkg("slow", "")}
		assert.Equal(t, 1, w.transactions(func() { w.read(wants...) }))
		assert.Zero(t, w.transactions(func() {
			lives, err := w.kind(wants[0]).Read(t.Context(), nil, nil)
			require.NoError(t, err)
			assert.Empty(t, lives)
			require.NoError(t, w.kind(wants[0]).Apply(t.Context(), state.Site{}, nil))
		}))
		var intents []intent
		for _, o := range wants {
			intents = append(intents, intent{want: o})
		}
		changes, err := w.plan(intents...)
		require.NoError(t, err)
		assert.Equal(t, 3, w.transactions(func() { require.NoError(t, w.apply(t.Context(), changes...)) }), "one looks")
		assert.Equal(t, "ii a 1.1, ii b 1.0, ii c 1.0, ii slow 1.0, rc conf 1.0", installed(t))
		assert.Equal(t, 1, w.transactions(func() { require.NoError(t, w.apply(t.Context(), changes...)) }), "made again")
		w.undo(changes)
		assert.Equal(t, "ii a 1.0, ii conf 1.0", installed(t))
	})

	t.Run("what is installed is listed", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-conf opdbus-test-a=1.0 && apt-get remove -q -y opdbus-test-conf")
		all, ok, err := w.kind(pkg("a", "")).List(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		var names []string
		for _, o := range all {
			names = append(names, o.Key())
		}
		assert.Contains(t, names, "packagekit")
		assert.Contains(t, names, "opdbus-test-a")
		assert.NotContains(t, names, "opdbus-test-conf")
		assert.IsIncreasing(t, names)
	})

	t.Run("what happens to packages is heard of", func(t *testing.T) {
		w := outer.within(t)
		made := []state.Object{pkg("a", "latest"), pkg("b", "removed")}
		heard := make(chan []state.Addr, 100)
		require.NoError(t, w.kind(made[0]).Watch(t.Context(), []state.Addr{addr(made[0]), addr(made[1])}, made, func(named []state.Addr, err error) {
			assert.NoError(t, err)
			heard <- named
		}))
		sh(t, "dpkg --install /srv/packages/opdbus-test-a_1.0_all.deb")
		assert.ElementsMatch(t, []state.Addr{addr(made[0]), addr(made[1])}, <-heard)
	})
}
