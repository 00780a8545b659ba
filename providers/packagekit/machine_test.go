package packagekit_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/providers/internal/sysbus"
	"github.com/opdbus/opdbus/providers/packagekit"
	"github.com/opdbus/opdbus/state"
)

// TestMachine runs what needs a PackageKit on a machine.
func TestMachine(t *testing.T) {
	t.Parallel()
	m := machine.New(t)
	m.Put("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n", 0o644)
	machine.RunTests(t, m, "^TestOnMachine")
}

// A world is the machine's PackageKit, and the kinds that look after it.
type world struct {
	t     *testing.T
	bus   *sysbus.Bus
	kinds state.Kinds

	mu   *sync.Mutex
	said *[]string // of progress
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by TestMachine")
	}
	bus := sysbus.New("")
	t.Cleanup(func() { _ = bus.Close() })
	w := &world{t: t, bus: bus, mu: new(sync.Mutex), said: new([]string)}
	w.kinds = packagekit.Kinds(state.Host{Store: "/var/lib/op-dbus", Registry: "/etc/op-dbus/plugins"}, bus, func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		*w.said = append(*w.said, text)
	})
	return w
}

// within is the world for a subtest, which finds and leaves none of the packages for tests.
func (w *world) within(t *testing.T) *world {
	t.Helper()
	nothing := func() {
		sh(t, "rm -f /run/opdbus-test-slow; pkill -CONT -x packagekitd; dpkg --configure -a || true; "+
			"dpkg --purge --force-all $(dpkg-query -W -f '${Package}\n' 'opdbus-test-*' 2>/dev/null) 2>/dev/null || true")
		require.Empty(t, installed(t))
	}
	nothing()
	t.Cleanup(nothing)
	in := *w
	in.t = t
	return &in
}

// heard is what progress was told since it was last asked.
func (w *world) heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := strings.Join(*w.said, "\n")
	*w.said = nil
	return said
}

func addr(o state.Object) state.Addr {
	kind := "package"
	if _, ok := o.(packagekit.Repository); ok {
		kind = "repository"
	}
	return state.Addr{Node: state.NodeAddr{Type: state.PluginNode, Name: "packagekit"}, Kind: kind, Key: o.Key()}
}

func (w *world) kind(o state.Object) *state.Kind { return w.kinds.For(addr(o)) }

func (w *world) read(wants ...state.Object) []state.Object {
	w.t.Helper()
	addrs := make([]state.Addr, len(wants))
	for i, o := range wants {
		addrs[i] = addr(o)
	}
	lives, err := w.kind(wants[0]).Read(w.t.Context(), addrs, wants)
	require.NoError(w.t, err)
	return lives
}

// An intent is what the ledger has of an object, and what is wanted.
type intent struct{ made, want state.Object }

// plan makes changes as the engine does.
func (w *world) plan(intents ...intent) ([]state.Change, error) {
	w.t.Helper()
	aim := func(i intent) state.Object {
		if i.want != nil {
			return i.want
		}
		return i.made
	}
	objects := func() (all []state.Object) {
		for _, i := range intents {
			all = append(all, aim(i))
		}
		return all
	}
	lives := w.read(objects()...)
	items := make([]state.PlannedObject, len(intents))
	for i, in := range intents {
		items[i] = state.PlannedObject{Addr: addr(aim(in)), Made: in.made, Live: lives[i], Want: in.want}
	}
	if err := w.kind(aim(intents[0])).Plan(w.t.Context(), items); err != nil {
		return nil, err
	}
	for i := range intents {
		intents[i].want = items[i].Want
	}
	lives = w.read(objects()...)
	changes := make([]state.Change, len(intents))
	for i, in := range intents {
		c := state.Change{Addr: items[i].Addr, Before: lives[i], After: in.want, Made: in.made}
		if c.After != nil && c.Before != nil && !w.kind(aim(in)).Owns(in.made, c.Before) {
			claimed, err := w.kind(aim(in)).Claim(in.want, c.Before)
			require.NoError(w.t, err)
			c.After = claimed
		}
		changes[i] = c
	}
	return changes, nil
}

func (w *world) apply(ctx context.Context, changes ...state.Change) error {
	return w.kinds.For(changes[0].Addr).Apply(ctx, state.Site{Node: changes[0].Addr.Node, Run: 1}, changes)
}

// make makes what is wanted, and returns the changes.
func (w *world) make(wants ...state.Object) []state.Change {
	w.t.Helper()
	intents := make([]intent, len(wants))
	for i, o := range wants {
		intents[i].want = o
	}
	changes, err := w.plan(intents...)
	require.NoError(w.t, err)
	w.does(changes)
	return changes
}

// does makes changes, and looks whether the host is as they say.
func (w *world) does(changes []state.Change) {
	w.t.Helper()
	require.NoError(w.t, w.apply(w.t.Context(), changes...))
	for _, c := range changes {
		if c.After != nil {
			live := w.read(c.After)[0]
			require.True(w.t, state.Same(c.After, live), "want %+v, live %+v", c.After, live)
		}
	}
}

// undo takes changes back, last first.
func (w *world) undo(changes []state.Change) {
	w.t.Helper()
	require.NoError(w.t, w.apply(context.WithoutCancel(w.t.Context()), inverse(changes)...))
}

func inverse(changes []state.Change) (all []state.Change) {
	for i := range changes {
		all = append(all, changes[len(changes)-1-i].Inverse())
	}
	return all
}

// disturbs is what the plan says of changes besides.
func (w *world) disturbs(changes []state.Change) (all []string) {
	for _, c := range changes {
		all = append(all, w.kinds.For(c.Addr).Disturbs(c)...)
	}
	return all
}

// transactions counts those that PackageKit makes meanwhile.
func (w *world) transactions(of func()) int {
	w.t.Helper()
	sub, err := w.bus.Subscribe(w.t.Context(), sysbus.Match{Interface: "org.freedesktop.PackageKit.Transaction", Member: "Finished"})
	require.NoError(w.t, err)
	defer sub.Close()
	of()
	_, err = w.bus.Names(w.t.Context()) // what was sent before the answer has come
	require.NoError(w.t, err)
	n := 0
	for {
		select {
		case <-sub.C:
			n++
		case <-time.After(300 * time.Millisecond):
			return n
		}
	}
}

func pkg(name, ensure string) packagekit.Package {
	return packagekit.Package{Name: "opdbus-test-" + name, Ensure: ensure}
}

func at(name, version string) packagekit.Package {
	p := pkg(name, "installed")
	p.Version = &version
	return p
}

// installed are the packages for tests that dpkg has anything of.
func installed(t *testing.T) string {
	out, _ := says(t, `dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' 'opdbus-test-*' 2>/dev/null | grep -v ^un | sed 's/opdbus-test-//; s/  */ /g' | sort`)
	return strings.ReplaceAll(out, "\n", ", ")
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

// known gives the machine's repository an origin, by which PackageKit tells what is in a repository from what is not.
func known(t *testing.T) {
	t.Helper()
	sh(t, `cd /srv/packages && printf '%s\n' "Origin: opdbus-test" "Suite: test" "Date: $(LC_ALL=C date -Ru)" "SHA256:" `+
		`" $(sha256sum Packages | cut -d ' ' -f 1) $(stat -c %s Packages) Packages" >Release && apt-get update --allow-releaseinfo-change --quiet --quiet`)
}

// slow has the package whose installation lasts be installed until it is let go of.
func slow(t *testing.T) (letGo func()) {
	t.Helper()
	const file = "/run/opdbus-test-slow"
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	return func() { assert.NoError(t, os.RemoveAll(file)) }
}

// eventually waits for something that is on its way.
func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 20*time.Second, 50*time.Millisecond)
}

// setsUp says that the slow package is being set up.
func setsUp() bool { return exec.Command("pgrep", "-f", "opdbus-test-slow.postinst").Run() == nil }
