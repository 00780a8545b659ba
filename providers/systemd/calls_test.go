package systemd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

const systemd1 = "org.freedesktop.systemd1"

// calls counts the calls that systemd gets while f runs, as the bus sees them.
func calls(t *testing.T, f func()) map[string]int {
	t.Helper()
	conn, err := dbus.ConnectSystemBus()
	require.NoError(t, err)
	defer conn.Close()
	rules := []string{"type='method_call',destination='" + systemd1 + "'"}
	require.NoError(t, conn.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, rules, uint32(0)).Err)
	seen := make(chan *dbus.Message, 1<<16)
	conn.Eavesdrop(seen)
	f()
	other, err := dbus.ConnectSystemBus()
	require.NoError(t, err)
	defer other.Close()
	const last = "org.freedesktop.DBus.Peer.Ping"
	require.NoError(t, other.Object(systemd1, "/").Call(last, 0).Err)
	count := map[string]int{}
	for m := range seen {
		if m.Type != dbus.TypeMethodCall { // the monitor hears that it has no name any more
			continue
		}
		member := m.Headers[dbus.FieldMember].Value().(string)
		if member == "Ping" {
			return count
		}
		count[member]++
	}
	t.Fatal("the bus has gone")
	return nil
}

// targets makes n units that are active and cost nothing, every second of them enabled.
func targets(t *testing.T, n int) []state.Object {
	t.Helper()
	dir := "/usr/lib/systemd/system/"
	var wants []state.Object
	for i := range n {
		name := fmt.Sprintf("n-%04d.target", i)
		require.NoError(t, os.WriteFile(dir+name, []byte("[Install]\nWantedBy=multi-user.target\n"), 0o644))
		enabled := i%2 == 0
		if enabled {
			require.NoError(t, os.Symlink(dir+name, systemD+"/multi-user.target.wants/"+name))
		}
		wants = append(wants, systemd.Unit{Name: name, Enabled: &enabled, Active: ptr(true), Masked: ptr(false)})
	}
	t.Cleanup(func() {
		sh(t, "systemctl stop 'n-*.target'; rm "+dir+"n-*.target "+systemD+"/multi-user.target.wants/n-*.target; systemctl daemon-reload")
	})
	sh(t, "systemctl daemon-reload; seq -f 'n-%04g.target' 0 "+fmt.Sprint(n-1)+" | xargs systemctl start")
	return wants
}

func TestOnMachineThousandUnits(t *testing.T) {
	w := newWorld(t)
	const n = 1000
	wants := targets(t, n)
	read := func(wants []state.Object) {
		lives, err := w.read(wants...)
		require.NoError(t, err)
		for i, live := range lives {
			require.True(t, state.Same(live, wants[i]), "%+v", live)
		}
	}

	t.Run("are read by two calls, as ten are", func(t *testing.T) {
		for _, wants := range [][]state.Object{wants[:10], wants} {
			assert.Equal(t, map[string]int{"ListUnitsByNames": 1, "Get": 1}, calls(t, func() { read(wants) }))
		}
	})

	t.Run("with properties cost a call more each", func(t *testing.T) {
		var some []state.Object
		for _, o := range wants[:7] {
			u := o.(systemd.Unit)
			u.Properties = map[string]string{"Description": u.Name}
			some = append(some, u)
		}
		assert.Equal(t, map[string]int{"ListUnitsByNames": 1, "Get": 1, "GetAll": 7}, calls(t, func() { read(some) }))
	})

	t.Run("cost less than five times one ListUnits", func(t *testing.T) {
		w.faster(t, wants, read)
	})

	t.Run("cost less than five times one ListUnits among 10,000 unit files", func(t *testing.T) {
		for i := range 10000 {
			require.NoError(t, os.WriteFile(filepath.Join("/usr/lib/systemd/system", fmt.Sprintf("many-%05d.service", i)), []byte(runs), 0o644))
		}
		t.Cleanup(func() { sh(t, "cd /usr/lib/systemd/system && find . -name 'many-*' -delete; systemctl daemon-reload") })
		sh(t, "systemctl daemon-reload")
		w.faster(t, wants, read)
	})

	t.Run("are changed by one call for all, but for what starts and stops them", func(t *testing.T) {
		var changes []state.Change
		for _, o := range wants[:100] {
			u := o.(systemd.Unit)
			u.Enabled = ptr(!*u.Enabled)
			changes = append(changes, state.Change{Addr: addr(u), Before: o, After: u})
		}
		count := calls(t, func() { require.NoError(t, w.apply(changes...)) })
		assert.Equal(t, map[string]int{"ListUnitsByNames": 2, "Get": 2, "DisableUnitFiles": 1, "EnableUnitFiles": 1, "Reload": 1}, count)
		for i := range changes {
			changes[i] = changes[i].Inverse()
		}
		require.NoError(t, w.apply(changes...))
		read(wants)
	})
}

// faster compares reading with one ListUnits, the best of some.
func (w *world) faster(t *testing.T, wants []state.Object, read func([]state.Object)) {
	t.Helper()
	bus := sysbus.New("")
	defer bus.Close()
	best := func(f func()) time.Duration {
		var all []time.Duration
		for range 5 {
			began := time.Now()
			f()
			all = append(all, time.Since(began))
		}
		return slices.Min(all)
	}
	listed := 0
	list := best(func() {
		var units []struct {
			Name, Description, Load, Active, Sub, Follows string
			Path                                          dbus.ObjectPath
			Job                                           uint32
			JobType                                       string
			JobPath                                       dbus.ObjectPath
		}
		require.NoError(t, bus.Call(t.Context(), sysbus.Call{Service: systemd1, Path: "/org/freedesktop/systemd1", Method: systemd1 + ".Manager.ListUnits"}, &units))
		listed = len(units)
	})
	own := best(func() { read(wants) })
	ratio := float64(own) / float64(list)
	t.Logf("%d units read in %s; ListUnits of %d in %s: %.1f times that", len(wants), own.Round(100*time.Microsecond), listed, list.Round(100*time.Microsecond), ratio)
	assert.Less(t, ratio, 5.0)
}
