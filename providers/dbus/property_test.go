package dbus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func property(name string, value any) Property {
	return Property{Name: name, Service: service, Path: string(at), Interface: service, Property: name, Value: value}
}

func TestProperty(t *testing.T) {
	w := newWorld(t, nil)
	s := serve(t, w)

	t.Run("a property of each type is set, and goes back to what was found", func(t *testing.T) {
		for name, text := range map[string]string{
			"Name": `"second"`, "Count": "4294967295", "Big": `"18446744073709551615"`, "List": `["b", "c"]`, "List ": "[]", "Options": `{"speed": 5, "more": [true]}`,
			"Pairs": `[[2, "two"], [3, "three"]]`, "Anything": `{"$signature": "(ss)", "$value": ["a", "b"]}`, "Bytes": `"text"`, "Object": `"/a/b"`, "Costly": `"silver"`,
		} {
			want := property(name, value(t, text))
			want.Property = map[string]string{"List ": "List"}[name]
			if want.Property == "" {
				want.Property = name
			}
			before := s.value(want.Property)
			made := w.make(nil, want)
			assert.NotEqual(t, before, s.value(want.Property), name)
			c, err := w.plan(made, want)
			require.NoError(t, err)
			require.Equal(t, state.None, state.Change{Before: c.Before, After: c.After, Made: made}.Action(), "%s: a second plan is empty", name)

			data, err := json.Marshal(made)
			require.NoError(t, err)
			back, err := w.kind(want).Decode(data)
			require.NoError(t, err)
			require.True(t, state.Exactly(made, back), "%s: the ledger keeps it: %s", name, data)
			for range 2 { // as after a cut
				require.NoError(t, w.apply(state.Change{Addr: addrOf(want), Before: back}))
				require.Equal(t, before, s.value(want.Property), name)
			}
			assert.False(t, w.kind(want).Owns(made, *made.(Property).Found), "%s", name)
		}
	})

	t.Run("a value that is the same in another form is the same", func(t *testing.T) {
		for name, text := range map[string]string{"Count": `"1"`, "Bytes": "[0, 1]", "Options": `{"speed": 10}`, "Anything": "5"} {
			want := property(name, value(t, text))
			lives, err := w.read(want)
			require.NoError(t, err)
			assert.True(t, state.Same(want, lives[0]), "%s: %v", name, lives[0])
		}
	})

	t.Run("what variants hold keeps its type", func(t *testing.T) {
		made := w.make(nil, property("Options", value(t, `{"speed": 20}`)))
		assert.Equal(t, `{"speed": <@q 20>}`, s.text("Options"))
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
	})

	t.Run("all properties of an interface are read by one call", func(t *testing.T) {
		s.calls()
		_, err := w.read(property("Name", "a"), property("Count", 1.0), property("List", []any{}), property("Fixed", "x"))
		require.NoError(t, err)
		assert.Equal(t, "GetAll 1", s.calls())
	})

	t.Run("what is found stays what it was through updates", func(t *testing.T) {
		first := w.make(nil, property("Name", "second"))
		second := w.make(first, property("Name", "third"))
		assert.Equal(t, "first", second.(Property).Found.Value)
		_, err := w.read(second)
		require.NoError(t, err)
		c := state.Change{Addr: addrOf(second), Before: first, After: second}
		require.NoError(t, w.apply(c.Inverse()))
		assert.Equal(t, "second", s.value("Name"))
		require.NoError(t, w.apply(state.Change{Addr: addrOf(second), Before: first}))
		assert.Equal(t, "first", s.value("Name"))
	})

	t.Run("a method sets what has one", func(t *testing.T) {
		want := property("Name", "fourth")
		want.SetWith = &SetWith{Method: "SetName", Args: []any{"$value", false}}
		s.calls()
		made := w.make(nil, want)
		assert.Contains(t, s.calls(), "SetName 1")
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
		assert.Equal(t, "first", s.value("Name"))
		assert.NotContains(t, s.calls(), "Set 1")
		fixed := property("Fixed", "$value")
		fixed.SetWith = &SetWith{Method: "SetFixed", Interface: service, Args: []any{map[string]any{"to": "$value", "is": []any{"$$value", "$$$"}}}}
		made = w.make(nil, fixed)
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
		assert.Equal(t, "fixed", s.value("Fixed"))
		assert.Equal(t, []any{"v", "$value", "$", 1.0}, SetWith{Args: []any{"$value", "$$value", "$$", 1.0}}.arguments("v"))
	})

	t.Run("what cannot be set is told by the plan, before anything is sent", func(t *testing.T) {
		s.calls()
		setWith := func(p Property, s SetWith) Property { p.SetWith = &s; return p }
		elsewhere := func(p Property, f func(p *Property)) Property { f(&p); return p }
		for _, c := range []struct {
			want Property
			text string
		}{
			{property("Count", -1.0), `plugin.dbus.property["Count"]: cannot set property org.example.Test.Count of org.example.Test at /org/example/Test: wanted is u (a whole number from 0 to 4294967295), given is -1`},
			{property("Name", 5.0), "wanted is s (a string), given is a number"}, {property("Pairs", []any{[]any{1.0}}), "wanted at [0] is (is) (a list of exactly 2), given is a list of 1"},
			{property("Object", "a"), "wanted is o"}, {property("Fixed", "x"), "it can be read only; where a method sets it, set_with names that"},
			{property("Door", "x"), "it can be written only, so that nobody can tell whether it is as wanted"},
			{property("Nme", "x"), `interface org.example.Test has no property Nme. Did you mean "Name"?`},
			{elsewhere(property("Name", "x"), func(p *Property) { p.Interface = "org.example.Tset" }), `has no interface org.example.Tset. Did you mean "org.example.Test"?`},
			{setWith(property("Name", "x"), SetWith{Method: "SetNam"}), `has no method SetNam. Did you mean "SetName"?`},
			{setWith(property("Name", "x"), SetWith{Method: "SetName", Args: []any{"$value"}}), "method SetName takes 2 arguments (sb), not 1"},
			{setWith(property("Name", "x"), SetWith{Method: "SetName", Args: []any{"$value", "no"}}), "argument 2 of method SetName: wanted is b (true or false), given is a string of 2 bytes"},
		} {
			_, err := w.plan(nil, c.want)
			require.ErrorContains(t, err, c.text)
		}
		assert.NotRegexp(t, `Set|Bump`, s.calls())
	})

	t.Run("what is not there yet is made when it is", func(t *testing.T) {
		want := property("Name", "x")
		want.Service = "org.example.Nobody"
		c, err := w.plan(nil, want)
		require.NoError(t, err)
		assert.Nil(t, c.Before)
		require.ErrorContains(t, w.apply(c), "cannot set property org.example.Test.Name of org.example.Nobody at /org/example/Test: org.example.Nobody has no such property, or does not run")
		require.NoError(t, w.apply(c.Inverse()), "nothing is to be taken back")
		want = property("Name", "x")
		want.Path = "/org/example"
		c, err = w.plan(nil, want)
		require.NoError(t, err)
		assert.Nil(t, c.Before)
	})

	t.Run("why there is none is explained, and nothing is said of values", func(t *testing.T) {
		none, nobody := property("None", "x"), property("Name", "x")
		nobody.Service = "org.example.Nobody"
		explain := func(want Property, live state.Object) string { return w.kind(want).Explain(t.Context(), want, live) }
		assert.Equal(t, "org.example.Test cannot do Get: no such property", explain(none, nil))
		assert.Contains(t, explain(nobody, nil), "nobody offers org.example.Nobody on the bus")
		assert.Empty(t, explain(property("Name", "x"), property("Name", "y")))
	})

	t.Run("a block cannot become that of another property", func(t *testing.T) {
		made := w.make(nil, property("Name", "x"))
		other := property("Name", "y")
		other.Property = "Costly"
		_, err := w.plan(made, other)
		require.ErrorContains(t, err, "give property org.example.Test.Costly of org.example.Test at /org/example/Test a block of another name")
		require.NoError(t, w.apply(state.Change{Addr: addrOf(made), Before: made}))
	})

	t.Run("a refusal is said as such", func(t *testing.T) {
		s.refuse("List")
		c, err := w.plan(nil, property("List", []any{"z"}))
		require.NoError(t, err)
		require.ErrorContains(t, w.apply(c), "org.example.Test does not allow Set: not you")
	})

	t.Run("what no service could take is a mistake of the configuration", func(t *testing.T) {
		wrong := map[string]string{}
		Property{Name: "a", Service: ":1.5", Path: "a/", Interface: "x", Property: "1a", SetWith: &SetWith{Method: "", Interface: "y", Args: "z"}}.Check(func(attr, summary, _ string) { wrong[attr+" "+summary] = "" })
		assert.Len(t, wrong, 8)
		property("Name", "x").Check(func(attr, summary, detail string) { t.Errorf("%s: %s: %s", attr, summary, detail) })
	})
}

func TestCall(t *testing.T) {
	w := newWorld(t, nil)
	s := serve(t, w)
	call := Call{Name: "bump", Service: service, Path: string(at), Interface: service, Method: "Bump", Args: []any{2.0}, Unless: map[string]any{"property": "Count", "equals": 3.0}}

	t.Run("a method is called unless what it brings about is so", func(t *testing.T) {
		c, err := w.plan(nil, call)
		require.NoError(t, err)
		assert.Nil(t, c.Before)
		assert.Equal(t, []string{"calls org.example.Test.Bump of org.example.Test"}, w.kind(call).Disturbs(c))
		assert.Equal(t, "what a call of Bump does cannot be taken back", w.kind(call).Irreversible(c))
		for range 2 { // as after a cut
			require.NoError(t, w.apply(c))
		}
		assert.Equal(t, 3.0, s.value("Count"))
		assert.Contains(t, s.calls(), "Bump 1")
		c, err = w.plan(c.After, call)
		require.NoError(t, err)
		require.True(t, state.Same(c.Before, c.After))
		assert.Empty(t, w.kind(call).Irreversible(c))
		require.NoError(t, w.apply(state.Change{Addr: c.Addr, Before: call}))
		assert.Equal(t, 3.0, s.value("Count"), "what it did stays")
		assert.False(t, w.kind(call).Owns(call, call))
	})

	t.Run("what cannot be called is told by the plan", func(t *testing.T) {
		s.calls()
		for text, change := range map[string]func(c *Call){
			"cannot call org.example.Test.Bump of org.example.Test at /org/example/Test: argument 1 of method Bump: wanted is u": func(c *Call) { c.Args = []any{"x"} },
			"method Bump takes 1 arguments (u), not 0":                      func(c *Call) { c.Args = nil },
			"has no method Bmp":                                             func(c *Call) { c.Method = "Bmp" },
			"has no property Cont":                                          func(c *Call) { c.Unless = map[string]any{"property": "Cont", "equals": 1.0} },
			"unless: the property org.example.Test.Count of":                func(c *Call) { c.Unless = map[string]any{"property": "Count", "equals": "x"} },
			"can be written only, so that nobody can tell whether it holds": func(c *Call) { c.Unless = map[string]any{"property": "Door", "equals": "x"} },
		} {
			other := call
			other.Unless = map[string]any{"property": "Count", "equals": 9.0}
			change(&other)
			_, err := w.plan(nil, other)
			require.ErrorContains(t, err, text)
		}
		assert.NotContains(t, s.calls(), "Bump")
	})

	t.Run("what a call did not bring about is explained", func(t *testing.T) {
		other := call
		other.Method, other.Args, other.Unless = "Nothing", nil, map[string]any{"property": "Count", "equals": 9.0}
		require.NoError(t, w.apply(state.Change{Addr: addrOf(other), After: other}))
		assert.Equal(t, "Nothing was called, and its unless does not hold: the property org.example.Test.Count of org.example.Test at /org/example/Test has another value", w.kind(other).Explain(t.Context(), other, nil))
	})

	t.Run("a condition that is none is a mistake of the configuration", func(t *testing.T) {
		for _, unless := range []any{nil, "x", map[string]any{}, map[string]any{"property": "A"}, map[string]any{"property": 1.0, "equals": 1.0}, map[string]any{"property": "A", "equals": 1.0, "else": 1.0},
			map[string]any{"property": "1", "equals": 1.0}, map[string]any{"property": "A", "equals": 1.0, "path": "x"}, map[string]any{"property": "A", "equals": 1.0, "interface": "x"}} {
			var wrong []string
			other := call
			other.Unless = unless
			other.Check(func(attr, summary, _ string) { wrong = append(wrong, attr+": "+summary) })
			assert.Equal(t, []string{"unless: Invalid condition"}, wrong, "%v", unless)
		}
		call.Check(func(attr, summary, detail string) { t.Errorf("%s: %s: %s", attr, summary, detail) })
	})
}
