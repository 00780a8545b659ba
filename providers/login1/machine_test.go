package login1

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/providertest"
	"github.com/opdbus/opdbus/state"
)

// onMachine is the kinds on a machine, and its bus.
func onMachine(t *testing.T) (state.Kinds, *sysbus.Bus) {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	return Kinds(state.Host{}, bus), bus
}

func do(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return string(out)
}

func addr(kind, key string) state.Addr {
	return state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "login1"}, Kind: kind, Key: key}
}

// addUser adds a user to the machine, until the test ends. Logind takes a user for the one who had the same number a moment ago.
func addUser(t *testing.T, name, uid string) {
	t.Helper()
	do(t, "useradd", "--create-home", "--uid", uid, name)
	t.Cleanup(func() {
		_ = exec.Command("loginctl", "disable-linger", name).Run()
		_ = exec.Command("loginctl", "terminate-user", name).Run()
		require.Eventually(t, func() bool { return exec.Command("userdel", "--remove", name).Run() == nil }, 20*time.Second, 100*time.Millisecond)
	})
}

// A thing is one object of a kind on the machine.
type thing struct {
	t    *testing.T
	kind *state.Kind
	addr state.Addr
}

func on(t *testing.T, kinds state.Kinds, kind, key string) thing {
	a := addr(kind, key)
	return thing{t, kinds.For(a), a}
}

func (o thing) read(want state.Object) state.Object {
	o.t.Helper()
	lives, err := o.kind.Read(o.t.Context(), []state.Addr{o.addr}, []state.Object{want})
	require.NoError(o.t, err)
	return lives[0]
}

func (o thing) apply(before, after state.Object) error {
	return o.kind.Apply(o.t.Context(), state.Site{}, []state.Change{{Addr: o.addr, Before: before, After: after}})
}

func TestOnMachineLinger(t *testing.T) {
	kinds, _ := onMachine(t)
	addUser(t, "lena", "2003")
	lingers := func() string {
		return strings.TrimSpace(do(t, "loginctl", "show-user", "lena", "--property=Linger", "--value"))
	}
	o := on(t, kinds, "linger", "lena")
	yes, no := Linger{User: "lena", Enabled: true}, Linger{User: "lena"}

	t.Run("keeps the contract", func(t *testing.T) {
		providertest.Run(t, providertest.Suite{Kind: o.kind, Addr: o.addr, A: yes, B: no, Dirs: []string{"/var/lib/systemd"}})
	})
	t.Run("is what loginctl says, and a user goes back to what was found", func(t *testing.T) {
		require.Nil(t, o.read(yes))
		require.NoError(t, o.apply(nil, yes))
		assert.Equal(t, "yes", lingers())
		require.NoError(t, o.apply(yes, nil))
		assert.NoFileExists(t, "/var/lib/systemd/linger/lena")

		do(t, "loginctl", "enable-linger", "lena")
		live := o.read(no)
		assert.Equal(t, yes, live)
		require.False(t, o.kind.Owns(nil, live))
		claimed, err := o.kind.Claim(no, live)
		require.NoError(t, err)
		require.NoError(t, o.apply(live, claimed))
		assert.NoFileExists(t, "/var/lib/systemd/linger/lena")
		require.True(t, o.kind.Owns(claimed, o.read(claimed)))
		require.NoError(t, o.apply(claimed, nil))
		assert.Equal(t, "yes", lingers())
		assert.False(t, o.kind.Owns(claimed, o.read(claimed)), "nothing of opdbus' is left")
	})
	t.Run("what is changed by hand is read as such", func(t *testing.T) {
		do(t, "loginctl", "disable-linger", "lena")
		require.NoError(t, o.apply(nil, yes))
		do(t, "loginctl", "disable-linger", "lena")
		assert.Nil(t, o.read(yes))
		do(t, "loginctl", "enable-linger", "lena")
		assert.Equal(t, yes, o.read(no))
	})
	t.Run("is heard of and listed", func(t *testing.T) {
		listed, _, err := o.kind.List(t.Context())
		require.NoError(t, err)
		assert.Contains(t, listed, yes)
		hears(t, o, yes, func() { do(t, "loginctl", "disable-linger", "lena") })
	})
	t.Run("what logind was asked for and did not answer is waited for before it is taken back", func(t *testing.T) {
		require.NoFileExists(t, "/var/lib/systemd/linger/lena")
		do(t, "systemctl", "kill", "--signal=STOP", "systemd-logind")
		goOn := sync.OnceFunc(func() { do(t, "systemctl", "kill", "--signal=CONT", "systemd-logind") })
		defer goOn()
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		require.Error(t, o.kind.Apply(short, state.Site{}, []state.Change{{Addr: o.addr, After: yes}}))
		time.AfterFunc(time.Second, goOn)
		require.NoError(t, o.apply(yes, nil))
		// It is answered after what came before it.
		do(t, "busctl", "call", "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.DBus.Peer", "Ping")
		assert.NoFileExists(t, "/var/lib/systemd/linger/lena", "it does not come true late")
	})
	t.Run("an unknown user is said to be", func(t *testing.T) {
		ghost := on(t, kinds, "linger", "ghost")
		require.Nil(t, ghost.read(Linger{User: "ghost", Enabled: true}))
		assert.EqualError(t, ghost.apply(nil, Linger{User: "ghost", Enabled: true}), `cannot set whether ghost lingers: there is no user "ghost" on this host`)
	})
}

// hears checks that a change by another hand is told.
func hears(t *testing.T, o thing, made state.Object, change func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan []state.Addr, 100)
	require.NoError(t, o.kind.Watch(ctx, []state.Addr{o.addr}, []state.Object{made}, func(named []state.Addr, err error) {
		if err == nil {
			told <- named
		}
	}))
	change()
	select {
	case named := <-told:
		assert.Contains(t, named, o.addr)
	case <-time.After(5 * time.Second):
		assert.Fail(t, "nothing was heard")
	}
}

func TestOnMachineSettings(t *testing.T) {
	kinds, _ := onMachine(t)
	o := on(t, kinds, "settings", "50-opdbus")
	a := Settings{Name: "50-opdbus", Values: map[string]string{"KillUserProcesses": "on", "IdleActionSec": "15min", "KillOnlyUsers": "alice bob", "HandlePowerKey": "ignore", "RuntimeDirectorySize": "5%"},
		Parents: []string{"/etc/systemd/logind.conf.d"}}
	b := Settings{Name: "50-opdbus", Values: map[string]string{"KillUserProcesses": "no", "NAutoVTs": "3"}, Parents: a.Parents}
	property := func(name string) string {
		return strings.TrimSpace(do(t, "busctl", "get-property", service, managerPath, managerFace, name))
	}

	t.Run("keeps the contract", func(t *testing.T) {
		providertest.Run(t, providertest.Suite{Kind: o.kind, Addr: o.addr, A: a, B: b, Dirs: []string{"/etc/systemd"}})
		assert.Equal(t, "b false", property("KillUserProcesses"))
	})
	t.Run("is in force at once", func(t *testing.T) {
		pid := do(t, "systemctl", "show", "systemd-logind", "--property=MainPID")
		require.NoError(t, o.apply(nil, a))
		assert.Equal(t, "b true", property("KillUserProcesses"))
		assert.Equal(t, "t 900000000", property("IdleActionUSec"))
		assert.Equal(t, `as 2 "alice" "bob"`, property("KillOnlyUsers"))
		assert.Equal(t, pid, do(t, "systemctl", "show", "systemd-logind", "--property=MainPID"), "logind was not restarted")
	})
	t.Run("what is changed by hand is read as such", func(t *testing.T) {
		hears(t, o, a, func() { do(t, "sed", "-i", "s/^IdleActionSec=.*/IdleActionSec=1min/", a.path()) })
		live := o.read(a).(Settings)
		assert.Equal(t, "1min", live.Values["IdleActionSec"])
		require.True(t, o.kind.Owns(a, live))
		require.NoError(t, o.apply(live, a))
		assert.True(t, state.Same(a, o.read(a)))
		do(t, "sed", "-i", "$a # a note", a.path())
		noted := o.read(a)
		require.False(t, state.Same(a, noted))
		require.NoError(t, o.apply(noted, a))
		require.NoError(t, o.apply(a, noted))
		assert.Contains(t, do(t, "cat", a.path()), "# a note", "and comes back as it was when that is taken back")
		require.NoError(t, o.apply(noted, a))
	})
	t.Run("what another file overrides is not as it is wanted, and that is said", func(t *testing.T) {
		other := filepath.Join(settingsDir, "90-other.conf")
		require.NoError(t, os.WriteFile(other, []byte("[Login]\nIdleActionSec=7\n"), 0o600))
		defer os.Remove(other)
		require.NoError(t, o.apply(a, a))
		live := o.read(a).(Settings)
		assert.Equal(t, "7s", live.Values["IdleActionSec"])
		assert.Contains(t, o.kind.Explain(t.Context(), a, live), "IdleActionSec is 7s; another file")
		hidden := on(t, kinds, "settings", "90-other").read(Settings{Name: "90-other"})
		_, err := o.kind.Claim(Settings{Name: "90-other"}, hidden)
		assert.ErrorContains(t, err, "/etc/systemd/logind.conf.d/90-other.conf is there already and is not opdbus' own: 24 bytes")
	})
	require.NoError(t, o.apply(a, nil))
	assert.NoDirExists(t, settingsDir)
	assert.Equal(t, "t 1800000000", property("IdleActionUSec"))
}

func TestOnMachineInhibit(t *testing.T) {
	kinds, bus := onMachine(t)
	o := on(t, kinds, "inhibit", "run")
	held := func() string { return do(t, "systemd-inhibit", "--list", "--no-legend") }
	release, err := Inhibit(t.Context(), bus, "run 7")
	require.NoError(t, err)
	assert.Regexp(t, `opdbus.*shutdown:sleep +run 7 +block`, held())
	listed, _, err := o.kind.List(t.Context())
	require.NoError(t, err)
	require.Len(t, listed, 1)
	assert.Equal(t, "run 7", listed[0].(Inhibitor).Why)
	release()
	release()
	assert.Eventually(t, func() bool { return !strings.Contains(held(), "opdbus") }, 5*time.Second, 20*time.Millisecond)

	wanted := Inhibitor{Name: "run", What: text("idle"), Mode: text("block")}
	assert.True(t, state.Same(wanted, o.read(wanted)), "it is so whenever there is a run")
	release, err = wanted.Take(t.Context(), bus, "run 8")
	require.NoError(t, err)
	assert.Regexp(t, `opdbus.*idle +run 8 +block`, held())
	release()
}
