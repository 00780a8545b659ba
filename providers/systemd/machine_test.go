package systemd_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/systemd"
	"github.com/opdbus/opdbus/state"
)

// TestMachine runs what needs a systemd on a machine.
func TestMachine(t *testing.T) {
	t.Parallel()
	machine.RunTests(t, machine.New(t), "^TestOnMachine")
}

// A world is the machine's systemd, and the kinds that look after it.
type world struct {
	t     *testing.T
	kinds state.Kinds
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	return &world{t, systemd.Kinds(state.Host{Store: "/var/lib/op-dbus", Registry: "/etc/op-dbus/plugins"}, bus)}
}

// within is the world for a subtest.
func (w *world) within(t *testing.T) *world { return &world{t, w.kinds} }

// addr is an object's address, whose kind the object tells.
func addr(o state.Object) state.Addr {
	kind := "unit"
	switch o.(type) {
	case systemd.DropIn:
		kind = "drop_in"
	case systemd.Timer:
		kind = "timer"
	}
	return state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "systemd"}, Kind: kind, Key: o.Key()}
}

// context is one that outlives the test, which cleans up after itself.
func (w *world) context() context.Context { return context.WithoutCancel(w.t.Context()) }

func (w *world) kind(o state.Object) *state.Kind { return w.kinds.For(addr(o)) }

// read reads what objects describe.
func (w *world) read(wants ...state.Object) ([]state.Object, error) {
	addrs := make([]state.Addr, len(wants))
	for i, o := range wants {
		addrs[i] = addr(o)
	}
	return w.kind(wants[0]).Read(w.context(), addrs, wants)
}

// live is what is there of what one describes.
func (w *world) live(want state.Object) state.Object {
	w.t.Helper()
	lives, err := w.read(want)
	require.NoError(w.t, err)
	return lives[0]
}

func (w *world) unit(want systemd.Unit) systemd.Unit {
	w.t.Helper()
	return w.live(want).(systemd.Unit)
}

// change is one from what is there to what is wanted, as a plan has it.
func (w *world) change(want state.Object) state.Change {
	w.t.Helper()
	live := w.live(want)
	c := state.Change{Addr: addr(want), Before: live, After: want}
	if live != nil && !w.kind(want).Owns(nil, live) {
		claimed, err := w.kind(want).Claim(want, live)
		require.NoError(w.t, err)
		c.After = claimed
	}
	return c
}

func (w *world) apply(changes ...state.Change) error {
	addr := changes[0].Addr
	return w.kinds.For(addr).Apply(w.context(), state.Site{Node: addr.Node, Run: 1}, changes)
}

// make makes what is wanted, and returns what the ledger would have.
func (w *world) make(want state.Object) state.Object {
	w.t.Helper()
	c := w.change(want)
	require.NoError(w.t, w.apply(c))
	require.True(w.t, state.Same(w.live(c.After), c.After), "%+v", w.live(c.After))
	return c.After
}

// drop has what was made no longer be managed.
func (w *world) drop(made state.Object) {
	w.t.Helper()
	require.NoError(w.t, w.apply(state.Change{Addr: addr(made), Before: made}))
}

// sh runs a shell command that must succeed.
func sh(t *testing.T, command string) string {
	t.Helper()
	out, err := says(t, command)
	require.NoError(t, err, "%s: %s", command, out)
	return out
}

// says is what a shell command says, whether it succeeds or not.
func says(t *testing.T, command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // also when the test ends
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// packaged makes unit files of somebody else's, where packages have theirs.
func packaged(t *testing.T, files map[string]string) {
	t.Helper()
	const dir = "/usr/lib/systemd/system/"
	for name, content := range files {
		require.NoError(t, os.WriteFile(dir+name, []byte(content), 0o644))
	}
	sh(t, "systemctl daemon-reload")
	t.Cleanup(func() {
		for name := range files {
			_ = exec.Command("systemctl", "stop", name).Run()
			_ = exec.Command("systemctl", "disable", name).Run()
			_ = exec.Command("systemctl", "reset-failed", name).Run()
			_ = os.Remove(dir + name)
		}
		_ = exec.Command("systemctl", "daemon-reload").Run()
	})
}

// show is a property of a unit.
func show(t *testing.T, unit string, properties ...string) string {
	t.Helper()
	var values []string
	for _, p := range properties {
		values = append(values, sh(t, "systemctl show --value --property="+p+" '"+unit+"'"))
	}
	return strings.Join(values, " ")
}

func ptr[T any](v T) *T { return &v }

const (
	runs    = "[Service]\nType=exec\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
	systemD = "/etc/systemd/system"
)
