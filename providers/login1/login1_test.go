package login1

import (
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/state"
)

// What speaks to logind runs on a machine of its own.
func TestMachine(t *testing.T) {
	machine.RunTests(t, machine.New(t), "^TestOnMachine")
}

// checked are the attributes and summaries of what Check reports.
func checked(o state.Checked) string {
	var found []string
	o.Check(func(attr, summary, _ string) { found = append(found, strings.TrimSpace(attr+" "+summary)) })
	return strings.Join(found, "; ")
}

func text(s string) *string { return &s }

func TestChecks(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		object state.Checked
		want   string
	}{
		"a rule with a selector":             {SessionRule{Name: "r", User: text("alice")}, ""},
		"a rule that is off":                 {SessionRule{Name: "r", TTY: text("tty1"), Allowed: &yes}, ""},
		"a rule without a selector":          {SessionRule{Name: "r"}, "A session rule without a selector"},
		"a rule with an empty selector":      {SessionRule{Name: "r", User: text("")}, "user An empty selector"},
		"a rule against systemd's sessions":  {SessionRule{Name: "r", Class: text("manager")}, "class Unknown class of sessions"},
		"a user":                             {Linger{User: "alice"}, ""},
		"a path":                             {Linger{User: "../alice"}, "Invalid user name"},
		"settings":                           {Settings{Name: "50-x", Values: map[string]string{"KillUserProcesses": "yes", "IdleActionSec": "5min 20s"}}, ""},
		"settings with a path":               {Settings{Name: "a/b", Values: map[string]string{"RemoveIPC": "no"}}, "Invalid name of settings"},
		"settings with nothing":              {Settings{Name: "x"}, "values Settings without values"},
		"settings with a key of no logind's": {Settings{Name: "x", Values: map[string]string{"KillUserProcess": "yes"}}, "values Unknown key"},
		"settings with a wrong value":        {Settings{Name: "x", Values: map[string]string{"IdleAction": "sing"}}, "values Invalid value of IdleAction"},
		"settings with a second line":        {Settings{Name: "x", Values: map[string]string{"KillOnlyUsers": "a\nRemoveIPC=no"}}, "values Invalid value of KillOnlyUsers"},
		"an inhibitor":                       {Inhibitor{Name: "x", What: text("shutdown:idle"), Mode: text("delay")}, ""},
		"an inhibitor of what there is not":  {Inhibitor{Name: "x", What: text("shutdown:rain"), Mode: text("block")}, "what Unknown thing to inhibit"},
		"an inhibitor that asks":             {Inhibitor{Name: "x", Mode: text("ask")}, "mode Unknown mode"},
	} {
		assert.Equal(t, c.want, checked(c.object), name)
	}
}

func TestForms(t *testing.T) {
	t.Run("values that mean the same are the same", func(t *testing.T) {
		for _, c := range []struct {
			f    form
			a, b string
		}{
			{boolean{}, "on", "yes"}, {boolean{}, "FALSE", "0"}, {span{}, "5min 20s", "320"}, {span{}, "1h", "3600s"}, {span{}, "1.5s", "1500ms"},
			{span{}, "2 days", "48h"}, {words{}, "a  b", "a b"}, {number{32}, "6", "06"},
		} {
			a, err := c.f.canonical(c.a)
			require.NoError(t, err, c.a)
			b, err := c.f.canonical(c.b)
			require.NoError(t, err, c.b)
			assert.Equal(t, a, b, "%s and %s", c.a, c.b)
		}
	})
	t.Run("what is none is refused", func(t *testing.T) {
		for value, f := range map[string]form{"perhaps": boolean{}, "5 parsecs": span{}, "": span{}, "min": span{}, "-1": number{32}, "4294967296": number{32},
			"5Q": size{}, "10%%": size{}, "'a b'": words{}, "dance": action{}} {
			_, err := f.canonical(value)
			assert.Error(t, err, "%T %q", f, value)
		}
	})
	t.Run("what a property says is written as one would write it", func(t *testing.T) {
		assert.Equal(t, "320s", span{}.text(dbus.MakeVariant(uint64(320e6))))
		assert.Equal(t, "1500us", span{}.text(dbus.MakeVariant(uint64(1500))))
		assert.Equal(t, "infinity", span{}.text(dbus.MakeVariant(^uint64(0))))
		assert.Equal(t, "a b", words{}.text(dbus.MakeVariant([]string{"a", "b"})))
		assert.Equal(t, "no", boolean{}.text(dbus.MakeVariant(false)))
	})
}

func TestSessionRule(t *testing.T) {
	rule := SessionRule{Name: "r", User: text("alice")}
	now := rule
	now.live, now.Sessions = true, []string{"3 of alice on tty1"}
	ended := rule
	ended.live = true
	then := rule
	then.Sessions = now.Sessions
	p := &sessions{}

	t.Run("is kept when nothing matches", func(t *testing.T) {
		assert.True(t, state.Same(ended, rule))
		assert.False(t, state.Same(now, rule))
		assert.False(t, state.Same(rule, now))
	})
	t.Run("is not waited for when a run is taken back that ended sessions", func(t *testing.T) {
		assert.True(t, state.Same(ended, then))
		assert.True(t, state.Same(then, ended))
		assert.False(t, state.Same(then, rule))
		require.NoError(t, p.Apply(t.Context(), &rule, &then), "it does not even ask logind")
	})
	t.Run("says beforehand what it ends, and that this is for good", func(t *testing.T) {
		assert.Equal(t, []string{"ends session 3 of alice on tty1"}, p.Disturbs(&now, &rule))
		assert.Equal(t, "a session that has ended cannot be brought back", p.Irreversible(&now, &rule))
		assert.Empty(t, p.Disturbs(&ended, &rule))
		assert.Empty(t, p.Irreversible(&rule, &now))
		assert.Empty(t, p.Disturbs(&now, nil))
	})
	t.Run("is accepted by being switched off", func(t *testing.T) {
		a, err := p.Accept(t.Context(), nil, state.Item[SessionRule]{Want: rule}, now)
		require.NoError(t, err)
		assert.Equal(t, []state.Setting{{Name: "allowed", Value: true}}, a.Set)
	})
}
