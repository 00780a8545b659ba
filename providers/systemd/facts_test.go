package systemd_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

func TestOnMachineUnit(t *testing.T) {
	w := newWorld(t)
	const instanced = "[Service]\nType=exec\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\nDefaultInstance=x\n"
	packaged(t, map[string]string{
		"f-run.service": runs, "f-on.service": runs, "f@.service": instanced, `f-a\x2db.service`: runs,
		"f-restarts.service": "[Service]\nType=exec\nExecStart=sleep 0.2\nRestart=always\nRestartSec=1h\nStartLimitIntervalSec=0\n",
		"f-limit.service":    "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=1h\n" + runs,
		"f-static.service":   "[Service]\nExecStart=sleep infinity\n",
		"f-alias.service":    "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\nAlias=f-other.service\n",
		"f-also.service":     "[Service]\nExecStart=sleep infinity\n[Install]\nAlso=f-run.service\n",
	})

	t.Run("a unit that was there goes back to what it was", func(t *testing.T) {
		w := w.within(t)
		sh(t, "systemctl enable --now f-on.service")
		made := w.make(systemd.Unit{Name: "f-on.service", Enabled: ptr(false), Active: ptr(false)})
		assert.Equal(t, "inactive disabled", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		w.drop(made)
		assert.Equal(t, "active enabled", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		w.drop(made) // as after a cut
		assert.Equal(t, "active enabled", show(t, "f-on.service", "ActiveState", "UnitFileState"))

		made = w.make(systemd.Unit{Name: "f-on.service", Masked: ptr(true)})
		assert.Equal(t, "active", show(t, "f-on.service", "ActiveState"), "masking does not stop")
		w.drop(made)
		assert.Equal(t, "enabled", show(t, "f-on.service", "UnitFileState"))
	})

	t.Run("all of a unit at once, and back", func(t *testing.T) {
		w := w.within(t)
		made := w.make(systemd.Unit{Name: "f-on.service", Masked: ptr(true), Enabled: ptr(false), Active: ptr(false)})
		assert.Equal(t, "inactive masked", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		w.drop(made)
		assert.Equal(t, "active enabled", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		sh(t, "systemctl mask --now f-on.service")
		made = w.make(systemd.Unit{Name: "f-on.service", Masked: ptr(false), Active: ptr(true)})
		assert.Equal(t, "active enabled", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		w.drop(made)
		assert.Equal(t, "inactive masked", show(t, "f-on.service", "ActiveState", "UnitFileState"))
		sh(t, "systemctl unmask f-on.service")
	})

	t.Run("instances, templates and escaped names", func(t *testing.T) {
		w := w.within(t)
		for _, name := range []string{"f@1.service", `f-a\x2db.service`} {
			made := w.make(systemd.Unit{Name: name, Enabled: ptr(true), Active: ptr(true)})
			assert.Equal(t, "active enabled", show(t, name, "ActiveState", "UnitFileState"), name)
			w.drop(made)
			assert.Equal(t, "inactive disabled", show(t, name, "ActiveState", "UnitFileState"), name)
		}
		made := w.make(systemd.Unit{Name: "f@.service", Enabled: ptr(true)})
		assert.FileExists(t, systemD+"/multi-user.target.wants/f@x.service")
		w.drop(made)
		assert.NoFileExists(t, systemD+"/multi-user.target.wants/f@x.service")
		report := map[string]bool{}
		systemd.Unit{Name: "f@.service", Active: ptr(true)}.Check(func(attr, _, _ string) { report[attr] = true })
		assert.True(t, report["active"], "a template cannot be started")
	})

	t.Run("one that waits to be restarted is not inactive", func(t *testing.T) {
		w := w.within(t)
		sh(t, "systemctl start f-restarts.service; sleep 0.5")
		require.Equal(t, "activating", show(t, "f-restarts.service", "ActiveState"))
		assert.False(t, *w.unit(systemd.Unit{Name: "f-restarts.service", Active: ptr(true)}).Active, "nor active")
		w.make(systemd.Unit{Name: "f-restarts.service", Active: ptr(false)})
		assert.Equal(t, "inactive", show(t, "f-restarts.service", "ActiveState"))
	})

	t.Run("one that was started too often is started", func(t *testing.T) {
		w := w.within(t)
		sh(t, "systemctl restart f-limit.service; systemctl restart f-limit.service || true")
		require.Equal(t, "failed", show(t, "f-limit.service", "ActiveState"))
		w.make(systemd.Unit{Name: "f-limit.service", Active: ptr(true)})
	})

	t.Run("what cannot be asked of a unit is said in the plan", func(t *testing.T) {
		w := w.within(t)
		sh(t, "systemctl enable f-alias.service; systemctl enable --runtime f-run.service; ln -s /root/f-linked.service "+systemD+"; cp /usr/lib/systemd/system/f-run.service /root/f-linked.service; systemctl mask --runtime f-on.service; systemctl mask f-masked.service; systemctl daemon-reload")
		sh(t, "mkdir -p /run/systemd/generator; cp /usr/lib/systemd/system/f-run.service /run/systemd/generator/f-gen.service")
		t.Cleanup(func() {
			sh(t, "systemctl disable f-alias.service; systemctl disable --runtime f-run.service; rm "+systemD+"/f-linked.service; systemctl unmask --runtime f-on.service; systemctl unmask f-masked.service; systemctl daemon-reload")
		})
		for name, says := range map[string]string{
			"f-static.service": "f-static.service cannot be enabled or disabled: systemd says that it is static. Its file has no [Install] section",
			"f-other.service":  "systemd says that it is alias. It is another name of a unit",
			"f-run.service":    "systemd says that it is enabled-runtime. ",
			"f-linked.service": "systemd says that it is linked. ",
			"f-also.service":   "systemd says that it is indirect. ",
			"f-gen.service":    "systemd says that it is generated. ",
			"f-on.service":     "systemd says that it is masked-runtime. ",
			"f-masked.service": "it is masked. Add masked = false",
		} {
			want := systemd.Unit{Name: name, Enabled: ptr(true)}
			live := w.live(want)
			require.False(t, w.kind(want).Owns(nil, live), name)
			_, err := w.kind(want).Claim(want, live)
			assert.ErrorContains(t, err, says, name)
		}
		require.NoError(t, os.WriteFile(systemD+"/f-theirs.service", []byte(runs), 0o644))
		t.Cleanup(func() { sh(t, "rm "+systemD+"/f-theirs.service; systemctl daemon-reload") })
		for _, want := range []systemd.Unit{
			{Name: "f-theirs.service", Content: ptr("[Service]\nExecStart=true\n")},
			{Name: "f-theirs.service", Masked: ptr(true)},
			{Name: "f-linked.service", Content: ptr(runs)},
		} {
			_, err := w.kind(want).Claim(want, w.live(want))
			assert.ErrorContains(t, err, systemD+"/"+want.Name+" is there already and is not opdbus' own", "%+v", want)
		}
	})

	t.Run("a property's value is one of its type", func(t *testing.T) {
		w := w.within(t)
		for properties, says := range map[[2]string]string{
			{"CPUWeight", "much"}: "the property CPUWeight is of type t",
			{"Nonsense", "1"}:     "it has no property Nonsense",
		} {
			_, err := w.read(systemd.Unit{Name: "f-run.service", Properties: map[string]string{properties[0]: properties[1]}})
			assert.ErrorContains(t, err, says)
		}
		made := w.make(systemd.Unit{Name: "f-run.service", Active: ptr(true), Properties: map[string]string{"CPUWeight": "70", "Description": "hello", "MemoryMax": "infinity", "TasksMax": "100"}})
		assert.Equal(t, "70 hello infinity 100", show(t, "f-run.service", "CPUWeight", "Description", "MemoryMax", "TasksMax"))
		w.drop(made)
		assert.Equal(t, "[not set]", show(t, "f-run.service", "CPUWeight"))
		_, err := w.read(systemd.Unit{Name: "none.service", Properties: map[string]string{"CPUWeight": "70"}})
		require.NoError(t, err)
		err = w.apply(w.change(systemd.Unit{Name: "f-new.service", Content: ptr(runs), Properties: map[string]string{"Nonsense": "1"}}))
		assert.ErrorContains(t, err, "it has no property Nonsense")
		w.drop(systemd.Unit{Name: "f-new.service", Content: ptr(runs)})
	})

	t.Run("properties of what was masked go back before it is masked again", func(t *testing.T) {
		w := w.within(t)
		sh(t, "systemctl mask f-run.service")
		defer sh(t, "systemctl unmask f-run.service")
		w.drop(w.make(systemd.Unit{Name: "f-run.service", Masked: ptr(false), Active: ptr(true), Properties: map[string]string{"CPUWeight": "50"}}))
		assert.Equal(t, "masked inactive", show(t, "f-run.service", "LoadState", "ActiveState"))
	})

	t.Run("what enables a unit follows its file", func(t *testing.T) {
		w := w.within(t)
		a := systemd.Unit{Name: "f-wanted.service", Content: ptr("[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"), Enabled: ptr(true)}
		b := a
		b.Content = ptr("[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=timers.target\n")
		w.make(a)
		w.make(b)
		assert.NoFileExists(t, systemD+"/multi-user.target.wants/f-wanted.service")
		assert.FileExists(t, systemD+"/timers.target.wants/f-wanted.service")
		w.drop(b)
		assert.NoFileExists(t, systemD+"/timers.target.wants/f-wanted.service")
		a.Content = ptr("[Service]\nExecStart=sleep infinity\n")
		err := w.apply(w.change(a))
		assert.ErrorContains(t, err, "f-wanted.service cannot be enabled or disabled: systemd says that it is static")
		w.drop(a)
	})

	t.Run("a unit file that is no longer declared goes, the unit stays managed", func(t *testing.T) {
		w := w.within(t)
		a := systemd.Unit{Name: "f-run.service", Content: ptr("[Unit]\nDescription=mine\n" + runs), Active: ptr(true)}
		made := w.make(a)
		want := systemd.Unit{Name: "f-run.service", Active: ptr(true)}
		items := []state.PlannedObject{{Addr: addr(a), Made: made, Live: w.live(want), Want: want}}
		require.NoError(t, w.kind(a).Plan(t.Context(), items))
		live := w.live(items[0].Want)
		require.False(t, state.Same(live, items[0].Want))
		c := state.Change{Addr: addr(a), Before: live, After: items[0].Want}
		for range 2 {
			require.NoError(t, w.apply(c))
			assert.NoFileExists(t, systemD+"/f-run.service")
			assert.Equal(t, "active", show(t, "f-run.service", "ActiveState"))
			assert.True(t, state.Same(w.live(c.After), c.After))
		}
		require.NoError(t, w.apply(c.Inverse()))
		assert.Equal(t, "mine", show(t, "f-run.service", "Description"))
		require.NoError(t, w.apply(c))
		w.drop(c.After)
		assert.Equal(t, "inactive f-run.service", show(t, "f-run.service", "ActiveState", "Description"))
	})
}
