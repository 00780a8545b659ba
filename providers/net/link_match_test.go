package net

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// matched is a link found by its mac.
func matched(name, mac string) Link {
	return Link{Name: name, Kind: existing, Match: &Match{MAC: &mac}}
}

// plan has a wanted object planned over what is there.
func plan(t *testing.T, kind string, want, made state.Object) (state.Object, error) {
	t.Helper()
	at := addr(kind, want.Key())
	live := read(t, kind, want)
	items := []state.PlannedObject{{Addr: at, Made: made, Live: live, Want: want}}
	err := kinds().For(at).Plan(t.Context(), items)
	return items[0].Want, err
}

func TestMatch(t *testing.T) {
	const mac = "02:00:00:00:0a:01"
	ip(t, "link", "add", "m0", "address", mac, "type", "veth", "peer", "name", "m1")
	ip(t, "link", "add", "m2", "address", mac, "type", "bridge") // as one has that took the link in
	clean(t, "m0", "m2")
	t.Run("contract", func(t *testing.T) {
		a, b, bare := matched("wan", strings.ToUpper(mac)), matched("wan", mac), matched("wan", mac)
		a.MTU, b.MTU, a.Up, b.Up, a.Master, b.Master = p(1400), p(1300), p(true), p(false), p("m2"), p("")
		s := suite(t, "link", a, b, bare)
		found := matched("wan", mac)
		found.MTU, found.Up, found.Master, found.Unnamed = p(1500), p(false), p(""), true
		s.Found = found
		providertest.Run(t, s)
	})
	require.NoError(t, apply(t, "link", nil, matched("wan", mac)))
	assert.Contains(t, ip(t, "link", "show", "m0"), "altname wan")
	t.Run("what is on it is declared by either name", func(t *testing.T) {
		ip(t, "link", "set", "m1", "up")
		ip(t, "link", "set", "m0", "up")
		for _, name := range []string{"wan", "m0"} {
			require.NoError(t, apply(t, "address", nil, Address{Name: "a", Link: name, Address: "10.7.0.1/24"}))
			require.NoError(t, apply(t, "route", nil, Route{Name: "r", Destination: "10.8.0.0/24", Link: &name}))
		}
		for _, name := range []string{"wan", "m0"} {
			assert.NotNil(t, read(t, "address", Address{Name: "a", Link: name, Address: "10.7.0.1/24"}))
			route := Route{Name: "r", Destination: "10.8.0.0/24", Link: &name}
			assert.True(t, route.Same(read(t, "route", route)), name)
		}
		assert.Nil(t, read(t, "address", Address{Name: "a", Link: "m1", Address: "10.7.0.1/24"}))
		ip(t, "link", "add", "m4", "type", "bridge")
		clean(t, "m4")
		require.NoError(t, apply(t, "link", nil, Link{Name: "m1", Kind: existing, Master: p("m4")}))
		require.NoError(t, apply(t, "route", Route{Name: "r", Destination: "10.8.0.0/24", Link: p("wan")}, nil))
		require.NoError(t, apply(t, "address", Address{Name: "a", Link: "wan", Address: "10.7.0.1/24"}, nil))
		assert.NotContains(t, ip(t, "addr", "show", "m0"), "10.7.0.1")
	})
	t.Run("a mac of its own is another's match no more", func(t *testing.T) {
		want := matched("wan", mac)
		want.MAC = p("02:00:00:00:0a:02")
		require.NoError(t, apply(t, "link", nil, want))
		assert.True(t, want.Same(read(t, "link", want)), "it is known by its name")
		want.MAC = p(mac)
		ip(t, "link", "set", "m0", "address", mac)
	})
	t.Run("one of two", func(t *testing.T) {
		ip(t, "link", "add", "m5", "address", mac, "type", "veth", "peer", "name", "m6")
		clean(t, "m5")
		assert.NotNil(t, read(t, "link", matched("wan", mac)), "the one that has the name")
		at := addr("link", "lan")
		_, err := kinds().For(at).Read(t.Context(), []state.Addr{at}, []state.Object{matched("lan", mac)})
		assert.ErrorContains(t, err, "cannot find link lan: what it is to match fits m0 and m5: say more of it in match")
	})
	t.Run("none", func(t *testing.T) {
		none := matched("lan", "02:00:00:00:0a:99")
		assert.Nil(t, read(t, "link", none))
		assert.ErrorContains(t, apply(t, "link", nil, none), "cannot make link lan: there is no link that it matches")
	})
	t.Run("the name is another link's", func(t *testing.T) {
		_, err := plan(t, "link", matched("m1", mac), nil)
		assert.ErrorContains(t, err, "link m1: another link than the one that it matches has the name, m1")
	})
	t.Run("a path where udev does not run", func(t *testing.T) {
		dir := t.TempDir()
		is, err := idPath(dir, 7)
		assert.NoError(t, err)
		assert.Empty(t, is, "it is attached nowhere")
		_, err = idPath(dir+"/none", 7)
		assert.ErrorContains(t, err, "no path of a link is known, as udev does not run: match it by mac")
	})
}
