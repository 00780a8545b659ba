package systemd_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachineWatch(t *testing.T) {
	w := newWorld(t)
	packaged(t, map[string]string{"w-run.service": runs, "w-other.service": runs, "w-dies.service": "[Service]\nType=exec\nExecStart=sleep infinity\n",
		"w-alias.service": "[Service]\nType=exec\nExecStart=sleep infinity\n[Install]\nAlias=w-name.service\n"})
	sh(t, "systemctl enable w-alias.service; systemctl start w-dies.service")
	t.Cleanup(func() { sh(t, "systemctl disable w-alias.service") })
	bell := w.make(systemd.Unit{Name: "w-bell.service", Content: ptr(runs)})
	t.Cleanup(func() { w.drop(bell) })
	made := []state.Object{
		systemd.Unit{Name: "w-run.service", Active: ptr(true), Enabled: ptr(false), Properties: map[string]string{"CPUWeight": "50"}},
		systemd.Unit{Name: "w-dies.service", Active: ptr(true)},
		systemd.Unit{Name: "w-name.service", Active: ptr(false)},
		bell,
	}
	s := providertest.WatchSuite{Kind: w.kind(bell), Made: made, Bell: systemD + "/w-bell.service"}
	for _, o := range made {
		s.Addrs = append(s.Addrs, addr(o))
	}
	do := func(command string) func() {
		// A signal may be on its way longer than what the kernel tells of a file.
		return func() { sh(t, command+"; sleep 0.3") }
	}
	s.When("started by hand", do("systemctl start w-run.service"), "w-run.service")
	s.When("stopped by hand", do("systemctl stop w-run.service"), "w-run.service")
	s.When("nothing that is declared", do("systemctl start w-other.service; systemctl stop w-other.service"))
	s.When("its process ends", do("kill $(systemctl show --value -p MainPID w-dies.service)"), "w-dies.service")
	s.When("what an alias stands for", do("systemctl start w-alias.service"), "w-name.service")
	s.When("a property is set", do("systemctl set-property --runtime w-run.service CPUWeight=60"), "w-run.service")
	s.When("masked without systemd", do("ln -s /dev/null "+systemD+"/w-dies.service"), "w-dies.service")
	s.When("read", func() {
		for _, o := range made {
			w.live(o)
		}
		time.Sleep(300 * time.Millisecond)
	})
	s.When("enabled by hand", do("rm "+systemD+"/w-dies.service; systemctl enable w-run.service"), "w-dies.service", "w-name.service", "w-run.service")
	providertest.RunWatch(t, s)
	sh(t, "systemctl disable w-run.service; systemctl stop w-alias.service")
}

func TestOnMachineChanged(t *testing.T) {
	w := newWorld(t)
	packaged(t, map[string]string{"c-run.service": runs, "c-off.service": runs})
	changed := func(o state.Object) time.Time {
		at, err := w.kind(o).Changed(t.Context(), addr(o), o)
		require.NoError(t, err)
		return at
	}
	unit := w.make(systemd.Unit{Name: "c-run.service", Active: ptr(true), Enabled: ptr(true), Content: ptr("[Unit]\nDescription=c\n" + runs), Properties: map[string]string{"CPUWeight": "50"}})
	off := w.make(systemd.Unit{Name: "c-off.service", Enabled: ptr(false)})
	timer := w.make(systemd.Timer{Name: "c-timer", OnCalendar: "daily", Command: []string{"/bin/true"}})
	dropIn := w.make(systemd.DropIn{Name: "c-run.service/c.conf", Content: "[Service]\nNice=5\n"})
	assert.Zero(t, changed(unit), "nothing differs")
	for _, by := range []struct {
		object state.Object
		hand   string
	}{
		{unit, "systemctl stop c-run.service"},
		{unit, "systemctl start c-run.service; echo '#' >> " + systemD + "/c-run.service; systemctl daemon-reload"},
		{unit, "sed -i '$d' " + systemD + "/c-run.service; systemctl daemon-reload; systemctl set-property --runtime c-run.service CPUWeight=60"},
		{unit, "systemctl disable c-run.service"},
		{off, "systemctl enable c-off.service"},
		{timer, "systemctl stop c-timer.timer"},
		{dropIn, "rm " + systemD + "/c-run.service.d/c.conf"},
	} {
		time.Sleep(20 * time.Millisecond)
		before := time.Now()
		sh(t, by.hand)
		assert.WithinRange(t, changed(by.object), before.Add(-10*time.Millisecond), time.Now(), by.hand)
	}
	w.drop(dropIn)
	w.drop(timer)
	w.drop(off)
	w.drop(unit)
}

func TestOnMachineList(t *testing.T) {
	w := newWorld(t)
	packaged(t, map[string]string{"q-run.service": runs})
	timer := w.make(systemd.Timer{Name: "q-timer", OnCalendar: "daily", Command: []string{"/bin/echo", `a b"c\d$e%f`, ""}, Persistent: ptr(true)})
	other := w.make(systemd.Unit{Name: "q-other.timer", Content: ptr("[Timer]\nOnCalendar=daily\n")})
	dropIn := w.make(systemd.DropIn{Name: "q-run.service/q.conf", Content: "[Service]\nNice=5\n"})
	run := w.make(systemd.Unit{Name: "q-run.service", Active: ptr(true), Enabled: ptr(true)})
	t.Cleanup(func() {
		for _, o := range []state.Object{run, dropIn, other, timer} {
			w.drop(o)
		}
	})
	list := func(like state.Object) map[string]state.Object {
		all, ok, err := w.kind(like).List(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		found := map[string]state.Object{}
		for _, o := range all {
			found[o.Key()] = o
		}
		return found
	}
	assert.Equal(t, map[string]state.Object{"q-timer": timer}, list(timer))
	found := list(dropIn)["q-run.service/q.conf"].(systemd.DropIn)
	assert.Equal(t, "[Service]\nNice=5\n", found.Content)
	units := list(run)
	u := units["q-run.service"].(systemd.Unit)
	assert.True(t, *u.Enabled && *u.Active && !*u.Masked, "%+v", u)
	assert.Contains(t, units, "init.scope")
	assert.Less(t, len(calls(t, func() { list(run) })), 3)

	require.NoError(t, os.WriteFile("/usr/lib/systemd/system/q-none.service", []byte(runs), 0o644))
	t.Cleanup(func() { _ = os.Remove("/usr/lib/systemd/system/q-none.service") })
	assert.NotContains(t, list(run), "q-none.service", "what is not loaded is not looked for")
}

func TestOnMachineCalendar(t *testing.T) {
	w := newWorld(t)
	for when, says := range map[string]string{"daily": "", "Mon 03:00": "", "now and then": `timer job: on_calendar = "now and then" is no time as systemd.time(7) has it: `} {
		want := systemd.Timer{Name: "job", OnCalendar: when, Command: []string{"/bin/true"}}
		err := w.kind(want).Plan(t.Context(), []state.PlannedObject{{Addr: addr(want), Want: want}})
		if says == "" {
			assert.NoError(t, err, when)
		} else {
			assert.ErrorContains(t, err, says)
		}
	}
}
