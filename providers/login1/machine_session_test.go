package login1

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/state"
)

func there(id string) bool { return exec.Command("loginctl", "show-session", id).Run() == nil }

func TestOnMachineSession(t *testing.T) {
	kinds, _ := onMachine(t)
	addUser(t, "sam", "2001")
	addUser(t, "tom", "2002")
	o := on(t, kinds, "session", "none-of-sam")
	rule := SessionRule{Name: "none-of-sam", User: text("sam")}

	t.Run("is ended, and others are not", func(t *testing.T) {
		one, endOne := machine.Session(t, "sam")
		two, endTwo := machine.Session(t, "sam")
		other, endOther := machine.Session(t, "tom")
		defer endOther()
		live := o.read(rule).(SessionRule)
		assert.Equal(t, []string{one + " of sam", two + " of sam"}, live.Sessions)
		require.False(t, state.Same(live, rule))
		require.NoError(t, o.apply(live, rule))
		assert.False(t, there(one))
		assert.False(t, there(two))
		assert.True(t, there(other))
		assert.True(t, state.Same(o.read(rule), rule))
		require.NoError(t, o.apply(live, rule), "again, as after a cut")
		assert.True(t, there(other))
		raw, err := json.Marshal(live)
		require.NoError(t, err)
		then, err := o.kind.Decode(raw)
		require.NoError(t, err)
		require.NoError(t, o.apply(rule, then), "which cannot be taken back")
		assert.True(t, state.Same(o.read(rule), then), "and is taken to be")
		endOne()
		endTwo()
	})
	t.Run("that comes behind opdbus' back is read, heard of, and listed", func(t *testing.T) {
		id, end := "", func() {}
		hears(t, o, rule, func() { id, end = machine.Session(t, "sam") })
		defer end()
		live := o.read(rule).(SessionRule)
		assert.Equal(t, []string{id + " of sam"}, live.Sessions)
		assert.Equal(t, "session "+id+" of sam was opened meanwhile", o.kind.Explain(t.Context(), rule, live))
		listed, _, err := o.kind.List(t.Context())
		require.NoError(t, err)
		yes := true
		assert.Contains(t, listed, SessionRule{Name: id, User: text("sam"), Class: text("user"), Allowed: &yes})

		planned := rule
		planned.Sessions = []string{"77 of sam"}
		err = o.apply(planned, rule)
		assert.EqualError(t, err, "session "+id+" of sam was opened since it was planned, and is left alone; make a new plan")
		assert.True(t, there(id))
	})
	t.Run("has to match all that is set", func(t *testing.T) {
		id, end := machine.Session(t, "sam")
		defer end()
		uid := strings.TrimSpace(do(t, "id", "--user", "sam"))
		yes := true
		for name, c := range map[string]struct {
			rule SessionRule
			want bool
		}{
			"class":          {SessionRule{Class: text("user")}, true},
			"user by number": {SessionRule{User: text(uid), Class: text("user")}, true},
			"another class":  {SessionRule{User: text("sam"), Class: text("greeter")}, false},
			"another user":   {SessionRule{User: text("tom"), Class: text("user")}, false},
			"a terminal":     {SessionRule{User: text("sam"), TTY: text("tty1")}, false},
			"a seat":         {SessionRule{User: text("sam"), Seat: text("seat0")}, false},
			"allowed":        {SessionRule{User: text("sam"), Allowed: &yes}, false},
		} {
			live := o.read(c.rule).(SessionRule)
			assert.Equal(t, c.want, len(live.Sessions) == 1 && strings.HasPrefix(live.Sessions[0], id+" "), "%s: %v", name, live.Sessions)
		}
		require.NoError(t, o.apply(nil, SessionRule{Name: "x", User: text("sam"), Allowed: &yes}))
		assert.True(t, there(id))
	})
	t.Run("that does not want to end is killed", func(t *testing.T) {
		id := strings.TrimSpace(do(t, "sh", "-c", `systemd-run --quiet --collect --unit=stays --property=PAMName=login --property=User=sam \
			--setenv=XDG_SESSION_CLASS=user --setenv=XDG_SESSION_TYPE=tty sh -c 'trap "" TERM HUP; printenv XDG_SESSION_ID >/home/sam/id; while :; do sleep 1; done' &&
			until [ -s /home/sam/id ]; do sleep 0.1; done; cat /home/sam/id`))
		require.True(t, there(id))
		require.NoError(t, o.apply(nil, rule))
		assert.False(t, there(id))
	})
	t.Run("of opdbus' own is never ended", func(t *testing.T) {
		id, end := machine.Session(t, "sam")
		defer end()
		t.Setenv("XDG_SESSION_ID", id)
		assert.Empty(t, o.read(rule).(SessionRule).Sessions)
		require.NoError(t, o.apply(nil, rule))
		assert.True(t, there(id))
	})
	t.Run("of the process that started opdbus is never ended", func(t *testing.T) {
		id, end := machine.Session(t, "tom")
		defer end()
		out, err := exec.Command("systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--property=PAMName=login", "--property=User=root",
			"--setenv=XDG_SESSION_CLASS=user", "--setenv=XDG_SESSION_TYPE=tty", "--setenv=OPDBUS_TEST_MACHINE=1",
			"sh", "-c", "unset XDG_SESSION_ID; "+os.Args[0]+" -test.v -test.run='^TestInSession$' && echo code 0").CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "--- PASS: TestInSession")
		assert.Contains(t, string(out), "code 0")
		assert.False(t, there(id), "while the other is")
	})
}

// TestInSession is run in a session of root's by another test.
func TestInSession(t *testing.T) {
	kinds, bus := onMachine(t)
	found, err := (manager{bus}).survey(t.Context())
	require.NoError(t, err)
	require.NoError(t, found.findOwn(t.Context()))
	require.Len(t, found.own, 1, "the session is found by the process alone")
	rule := SessionRule{Name: "all", Class: text("user")}
	o := on(t, kinds, "session", "all")
	require.Len(t, o.read(rule).(SessionRule).Sessions, 1)
	require.NoError(t, o.apply(nil, rule))
	for id := range found.own {
		assert.True(t, there(id))
	}
}
