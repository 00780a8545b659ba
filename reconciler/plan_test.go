package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// A thing stands under a name in a world; the comparison is tested on it, and the providers on real hosts.
type thing struct {
	Label string `json:"label"`
	Name  string `json:"name"`
	Value string `json:"value"`
	Extra string `json:"extra,omitempty"`
}

func (t thing) Key() string   { return t.Label }
func (t thing) Thing() string { return "thing " + t.Name }

// A world is what is live, by name. Values that begin with "their" are somebody else's.
type world map[string]thing

func (w world) Read(_ context.Context, want thing) (*thing, error) {
	live, ok := w[want.Name]
	if !ok {
		return nil, nil
	}
	live.Label = want.Label
	return &live, nil
}

func (w world) Apply(_ context.Context, _, _ *thing) error {
	return errors.New("a plan changes nothing")
}

func (w world) Owns(made *thing, live thing) bool {
	return made != nil && !strings.HasPrefix(live.Value, "their")
}

func (w world) Claim(want, live thing) (thing, error) {
	switch {
	case want == live:
		return live, nil
	case want.Extra == "backup":
		return want, nil
	}
	return thing{}, fmt.Errorf("%s is somebody else's", live.Name)
}

// A host is a reconciler with what it compares.
type host struct {
	*Reconciler
	owned  *ledger.Ledger
	config *state.Config
}

func newHost(w world) *host {
	return &host{Reconciler: &Reconciler{Kinds: state.Kinds{state.KindOf[thing]("stage", "thing", w)}},
		owned: ledger.New(), config: &state.Config{}}
}

func stage(name string) state.NodeAddr { return state.NodeAddr{Type: state.StageNode, Name: name} }

// made puts things into the ledger; want declares them. A thing is written label=name:value.
func (h *host) made(node string, needs []string, things ...string) *host {
	n := &ledger.Node{Run: 1}
	for _, on := range needs {
		n.DependsOn = append(n.DependsOn, stage(on))
	}
	for _, s := range things {
		t := parse(s)
		raw, err := json.Marshal(t)
		if err != nil {
			panic(err)
		}
		n.Objects = append(n.Objects, ledger.Entry{Object: addr(node, t.Label).Local(), Made: raw})
	}
	h.owned.Set(stage(node), n)
	return h
}

func (h *host) want(node string, needs []string, things ...string) *state.Node {
	n := &state.Node{Addr: stage(node)}
	for _, on := range needs {
		n.DependsOn = append(n.DependsOn, state.Dependency{On: stage(on)})
	}
	for _, s := range things {
		t := parse(s)
		n.Objects = append(n.Objects, state.Declared{Addr: addr(node, t.Label), Object: t})
	}
	h.config.Nodes = append(h.config.Nodes, n)
	return n
}

func addr(node, label string) state.Addr {
	return state.Addr{Node: stage(node), Kind: "thing", Key: label}
}

func parse(s string) thing {
	label, rest, _ := strings.Cut(s, "=")
	name, rest, _ := strings.Cut(rest, ":")
	value, extra, _ := strings.Cut(rest, "+")
	return thing{label, name, value, extra}
}

// plan prints a plan as one string.
func (h *host) plan(t *testing.T, o PlanOptions) string {
	t.Helper()
	plan, diags, err := h.Plan(context.Background(), h.config, h.owned, o)
	require.NoError(t, err)
	var b strings.Builder
	for _, d := range diags {
		fmt.Fprintf(&b, "! %s\n", d.Summary)
	}
	if plan == nil {
		return b.String()
	}
	for _, n := range plan.Nodes {
		fmt.Fprintf(&b, "%s", n.Addr.Name)
		for _, a := range n.After {
			fmt.Fprintf(&b, " after %s", a.Name)
		}
		if n.Delete {
			b.WriteString(" goes")
		}
		b.WriteString("\n")
		for _, c := range n.Changes {
			fmt.Fprintf(&b, "  %s %s %s -> %s (%s)", c.Action(), c.Addr.Key, value(c.Before), value(c.After), c.Cause)
			if c.MadeAt != (state.Addr{}) {
				fmt.Fprintf(&b, " was %s", c.MadeAt)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func value(o state.Object) string {
	if o == nil {
		return "none"
	}
	return o.(thing).Value
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name             string
		made, live, want string // of one thing called x; empty: none
		plan             string
	}{
		{"new", "", "", "a", "s\n  + x none -> a (config)\n"},
		{"as wanted", "a", "a", "a", ""},
		{"changed in the configuration", "a", "a", "b", "s\n  ~ x a -> b (config)\n"},
		{"changed on the host", "a", "c", "a", "s\n  ~ x c -> a (drift)\n"},
		{"changed in both", "a", "c", "b", "s\n  ~ x c -> b (config)\n"},
		{"gone from the host", "a", "", "a", "s\n  + x none -> a (drift)\n"},
		{"changed on the host as is now wanted", "a", "b", "b", "s\n  = x b -> b (config)\n"},
		{"no longer wanted", "a", "a", "", "s goes\n  - x a -> none (config)\n"},
		{"no longer wanted, and changed", "a", "c", "", "s goes\n  - x c -> none (config)\n"},
		{"no longer wanted, and gone", "a", "", "", "s goes\n  . x none -> none (config)\n"},
		{"no longer wanted, and replaced by somebody", "a", "their b", "", "s goes\n  . x their b -> their b (config)\n"},
		{"in the way", "", "their b", "a", "! Conflict at stage.s.thing[\"x\"]\n"},
		{"replaced by somebody", "a", "their b", "a", "! Conflict at stage.s.thing[\"x\"]\n"},
		{"in the way and moved aside", "", "their b", "a+backup", "s\n  ~ x their b -> a (config)\n"},
		{"there already and taken over", "", "their a", "their a", "s\n  = x their a -> their a (config)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world{}
			h := newHost(w)
			if c.made != "" {
				h.made("s", nil, "x=x:"+c.made)
			}
			if c.live != "" {
				w["x"] = parse("x=x:" + c.live)
			}
			if c.want != "" {
				h.want("s", nil, "x=x:"+c.want)
			}
			assert.Equal(t, c.plan, h.plan(t, PlanOptions{}))
		})
	}
}

func TestPlanUpgrade(t *testing.T) {
	setup := func(opdbus, config string) string {
		h := newHost(world{"x": parse("x=x:1")}).made("s", nil, "x=x:1")
		h.owned.Stamp(opdbus, "host", config, 1)
		h.Version, h.config.Digest = "2.0.0", "sha256:c"
		h.want("s", nil, "x=x:2", "y=y:1")
		return h.plan(t, PlanOptions{})
	}
	t.Run("what another version makes of the same configuration is an upgrade", func(t *testing.T) {
		assert.Equal(t, "s\n  ~ x 1 -> 2 (upgrade)\n  + y none -> 1 (config)\n", setup("1.0.0", "sha256:c"))
	})
	t.Run("what another configuration wants is not", func(t *testing.T) {
		assert.Equal(t, "s\n  ~ x 1 -> 2 (config)\n  + y none -> 1 (config)\n", setup("1.0.0", "sha256:b"))
	})
	t.Run("nor is what the same version makes", func(t *testing.T) {
		assert.Equal(t, "s\n  ~ x 1 -> 2 (config)\n  + y none -> 1 (config)\n", setup("2.0.0", "sha256:c"))
	})
}

func TestPlanOrder(t *testing.T) {
	t.Run("what is needed is made first, through nodes that do not change", func(t *testing.T) {
		w := world{"b": parse("b=b:1")}
		h := newHost(w).made("b", nil, "b=b:1")
		h.want("a", []string{"b"}, "a=a:1")
		h.want("b", []string{"c"}, "b=b:1")
		h.want("c", nil, "c=c:1")
		assert.Equal(t, "c\n  + c none -> 1 (config)\na after c\n  + a none -> 1 (config)\n", h.plan(t, PlanOptions{}))
	})
	t.Run("what needed a node goes before it", func(t *testing.T) {
		w := world{"a": parse("a=a:1"), "b": parse("b=b:1"), "c": parse("c=c:1")}
		h := newHost(w).made("a", nil, "a=a:1").made("b", []string{"a"}, "b=b:1").made("c", []string{"a"}, "c=c:1")
		h.want("c", nil, "c=c:2")
		assert.Equal(t, "b goes\n  - b 1 -> none (config)\nc\n  ~ c 1 -> 2 (config)\na after b after c goes\n  - a 1 -> none (config)\n", h.plan(t, PlanOptions{}))
	})
	t.Run("within a node what goes goes first, last made first", func(t *testing.T) {
		w := world{"a": parse("a=a:1"), "b": parse("b=b:1")}
		h := newHost(w).made("s", nil, "a=a:1", "b=b:1")
		h.want("s", nil, "c=c:1", "d=d:1")
		assert.Equal(t, "s\n  - b 1 -> none (config)\n  - a 1 -> none (config)\n  + c none -> 1 (config)\n  + d none -> 1 (config)\n", h.plan(t, PlanOptions{}))
	})
}

func TestPlanMoves(t *testing.T) {
	t.Run("a thing declared elsewhere is handed over, not made again", func(t *testing.T) {
		h := newHost(world{"x": parse("x=x:1")}).made("old", nil, "x=x:1")
		h.want("new", nil, "y=x:1")
		assert.Equal(t, "new\n  = y 1 -> 1 (config) was stage.old.thing[\"x\"]\nold after new goes\n", h.plan(t, PlanOptions{}))
	})
	t.Run("a moved block hands over what is no longer the same thing", func(t *testing.T) {
		h := newHost(world{"x": parse("x=x:1")}).made("old", nil, "x=x:1")
		h.want("new", nil, "x=y:1")
		h.config.Moved = []state.Move{{From: state.Addr{Node: stage("old")}, To: state.Addr{Node: stage("new")}}}
		assert.Contains(t, h.plan(t, PlanOptions{}), `was stage.old.thing["x"]`)
	})
	t.Run("a removed block gives up what it names", func(t *testing.T) {
		h := newHost(world{"x": parse("x=x:1"), "y": parse("y=y:1")}).made("old", nil, "x=x:1", "y=y:1")
		h.config.Removed = []state.Removal{{From: addr("old", "x")}}
		assert.Equal(t, "old\n  - y 1 -> none (config)\n  . x 1 -> 1 (config)\n", h.plan(t, PlanOptions{}))
	})
}

func TestPlanSelection(t *testing.T) {
	setup := func() *host {
		h := newHost(world{})
		h.want("a", nil, "a=a:1")
		h.want("b", []string{"a"}, "b=b:1", "c=c:1")
		h.want("d", []string{"b"}, "d=d:1")
		h.want("e", nil, "e=e:1")
		return h
	}
	node := func(name string) state.Addr { return state.Addr{Node: stage(name)} }
	a, b1, b2, d, e := "a\n  + a none -> 1 (config)\n", "b after a\n  + b none -> 1 (config)\n", "  + c none -> 1 (config)\n", "d after b\n  + d none -> 1 (config)\n", "e\n  + e none -> 1 (config)\n"
	for _, c := range []struct {
		name string
		o    PlanOptions
		plan string
	}{
		{"a target brings what it needs", PlanOptions{Targets: []state.Addr{node("b")}}, a + b1 + b2},
		{"a targeted object brings what its node needs", PlanOptions{Targets: []state.Addr{addr("b", "b")}}, a + b1},
		{"an excluded node leaves out what needs it", PlanOptions{Excludes: []state.Addr{node("b")}}, a + e},
		{"an excluded object is left out alone", PlanOptions{Excludes: []state.Addr{addr("b", "c")}}, a + b1 + d + e},
		{"an unknown address is an error", PlanOptions{Targets: []state.Addr{node("zz")}}, "! Nothing is called stage.zz\n"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.plan, setup().plan(t, c.o)) })
	}
	t.Run("destroy wants nothing", func(t *testing.T) {
		h := newHost(world{"a": parse("a=a:1")}).made("a", nil, "a=a:1")
		h.want("a", nil, "a=a:1")
		assert.Equal(t, "a goes\n  - a 1 -> none (config)\n", h.plan(t, PlanOptions{Destroy: true}))
	})
	t.Run("prevent_destroy refuses a destroy and a replacement", func(t *testing.T) {
		h := newHost(world{"a": parse("a=a:1")}).made("a", nil, "a=a:1")
		h.want("a", nil, "a=a:1").Lifecycle.PreventDestroy = true
		assert.Equal(t, "! stage.a is protected\n", h.plan(t, PlanOptions{Destroy: true}))
		assert.Equal(t, "! stage.a is protected\n", h.plan(t, PlanOptions{Replaces: []state.Addr{node("a")}}))
		assert.Empty(t, h.plan(t, PlanOptions{}))
	})
	t.Run("replace deletes and makes again", func(t *testing.T) {
		h := newHost(world{"a": parse("a=a:1")}).made("a", nil, "a=a:1")
		h.want("a", nil, "a=a:1")
		assert.Equal(t, "a\n  -/+ a 1 -> 1 (config)\n", h.plan(t, PlanOptions{Replaces: []state.Addr{addr("a", "a")}}))
	})
}

func TestPlanIgnores(t *testing.T) {
	for _, c := range []struct {
		name             string
		changes, drift   []string
		made, live, want string
		plan             string
	}{
		{"a change that is ignored", []string{"thing.value"}, nil, "a", "a", "b", ""},
		{"a change of one object that is ignored", []string{`thing["x"]`}, nil, "a", "a", "b", ""},
		{"another attribute's change is not", []string{"thing.extra"}, nil, "a", "a", "b", "s\n  ~ x a -> b (config)\n"},
		{"drift that is ignored", nil, []string{"all"}, "a", "c", "a", ""},
		{"ignoring changes does not ignore drift", []string{"all"}, nil, "a", "c", "a", "s\n  ~ x c -> a (drift)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(world{"x": parse("x=x:" + c.live)}).made("s", nil, "x=x:"+c.made)
			n := h.want("s", nil, "x=x:"+c.want)
			n.Lifecycle.IgnoreChanges, n.Lifecycle.IgnoreDrift = c.changes, c.drift
			assert.Equal(t, c.plan, h.plan(t, PlanOptions{}))
		})
	}
	t.Run("drift that is only to be told is no change", func(t *testing.T) {
		h := newHost(world{"x": parse("x=x:c")}).made("s", nil, "x=x:a")
		h.want("s", nil, "x=x:a").Drift = "alert"
		plan, _, err := h.Plan(context.Background(), h.config, h.owned, PlanOptions{})
		require.NoError(t, err)
		assert.Empty(t, plan.Nodes)
		assert.Len(t, plan.Drifted, 1)
	})
}

func TestPrepareDuplicates(t *testing.T) {
	h := newHost(world{})
	h.want("a", nil, "x=x:1")
	h.want("b", nil, "y=x:1")
	diags := h.Prepare(context.Background(), h.config)
	require.Len(t, diags, 1)
	assert.Equal(t, "Two objects declare the thing x", diags[0].Summary)
	assert.Contains(t, diags[0].Detail, `stage.b.thing["y"]`)
	assert.Contains(t, diags[0].Detail, `stage.a.thing["x"]`)
}
