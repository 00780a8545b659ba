package dnsresolver

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/state"
)

// onMachine is the kinds on a machine.
func onMachine(t *testing.T) state.Kinds {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	return Kinds(state.Host{}, bus)
}

func do(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return strings.TrimSpace(string(out))
}

// ask is what resolvectl says of a link, or of all for Global, without the beginning that names it.
func ask(t *testing.T, what, of string) string {
	t.Helper()
	for line := range strings.Lines(do(t, "resolvectl", what)) {
		if head, rest, ok := strings.Cut(line, ":"); ok && (head == of || strings.HasSuffix(head, "("+of+")")) {
			return strings.TrimSpace(rest)
		}
	}
	return "not told"
}

// A thing is one object of a kind on the machine.
type thing struct {
	t    *testing.T
	kind *state.Kind
	addr state.Addr
}

func on(t *testing.T, kinds state.Kinds, kind, key string) thing {
	a := state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "dnsresolver"}, Kind: kind, Key: key}
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

// take applies want as a plan would: what is there is claimed first. It returns what was there, and what the ledger would have.
func (o thing) take(want state.Object) (live, made state.Object) {
	o.t.Helper()
	live = o.read(want)
	made, err := o.kind.Claim(want, live)
	require.NoError(o.t, err)
	require.NoError(o.t, o.apply(live, made))
	require.True(o.t, state.Same(made, o.read(made)), "%+v", o.read(made))
	return live, made
}

// hears checks that a change by another hand is told.
func hears(t *testing.T, o thing, made state.Object, what string, change func()) {
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
	case <-time.After(2 * lookAgain):
		assert.Fail(t, "nothing was heard of "+what)
	}
}

// put replaces /etc/resolv.conf until the test ends, by a file, or by a link to where text begins with a slash; empty: by nothing.
func put(t *testing.T, text string) {
	t.Helper()
	link, err := os.Readlink(resolvConf)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = os.Remove(resolvConf)
		require.NoError(t, os.Symlink(link, resolvConf))
	})
	require.NoError(t, os.Remove(resolvConf))
	switch {
	case strings.HasPrefix(text, "/"):
		require.NoError(t, os.Symlink(text, resolvConf))
	case text != "":
		require.NoError(t, os.WriteFile(resolvConf, []byte(text), 0o640))
	}
}
