package packagekit_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
)

func TestOnMachineFailures(t *testing.T) {
	outer := newWorld(t)
	known(t)

	// install plans the slow package and another, and begins to install them.
	install := func(ctx context.Context, w *world) (changes []state.Change, failed chan error) {
		changes, err := w.plan(intent{want: pkg("slow", "")}, intent{want: pkg("a", "")})
		require.NoError(w.t, err)
		failed = make(chan error, 1)
		go func() { failed <- w.apply(ctx, changes...) }()
		eventually(w.t, setsUp)
		return changes, failed
	}

	t.Run("a package that cannot be set up fails with what it says, and is taken back", func(t *testing.T) {
		w := outer.within(t)
		sh(t, "apt-get install -q -y opdbus-test-conf")
		changes, err := w.plan(intent{want: pkg("b", "")}, intent{want: pkg("broken", "")}, intent{want: pkg("conf", "removed")})
		require.NoError(t, err)
		err = w.apply(t.Context(), changes...)
		require.ErrorContains(t, err, "cannot install opdbus-test-b 1.0, opdbus-test-broken 1.0: ")
		require.ErrorContains(t, err, "installed opdbus-test-broken package post-installation script subprocess returned error exit status 1")
		require.ErrorContains(t, err, "Unfinished: opdbus-test-broken half-configured")
		assert.Equal(t, "half-configured", ensure(w.read(pkg("broken", ""))[0]), "it is not taken for installed")
		assert.Equal(t, "half-configured", ensure(w.read(pkg("broken", "removed"))[0]), "nor for removed")
		w.undo(changes)
		assert.Equal(t, "ii conf 1.0", installed(t))
	})

	t.Run("a lock is an error that says who has it, after a while", func(t *testing.T) {
		w := outer.within(t)
		release := lock(t, "/var/lib/dpkg/lock-frontend")
		changes, err := w.plan(intent{want: pkg("a", "")})
		require.NoError(t, err, "it can be planned")
		began := time.Now()
		err = w.apply(t.Context(), changes...)
		require.ErrorContains(t, err, "cannot install opdbus-test-a 1.1: the package system is locked: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process ")
		assert.Less(t, time.Since(began), 20*time.Second)
		assert.Contains(t, w.heard(), "PackageKit: waiting for another package manager to end")
		release()
		w.undo(changes)
		w.does(changes)
		assert.Equal(t, "ii a 1.1", installed(t))
	})

	t.Run("a service that is killed in the middle is an error, and what it left is mended", func(t *testing.T) {
		for _, next := range []string{"taken back", "made again"} {
			t.Run(next, func(t *testing.T) {
				w := outer.within(t)
				letGo := slow(t)
				changes, failed := install(t.Context(), w)
				sh(t, "pkill -KILL -x packagekitd")
				require.ErrorContains(t, <-failed, "org.freedesktop.PackageKit ended during InstallPackages, which may be done in part")
				assert.NotEmpty(t, sh(t, "ls /var/lib/dpkg/updates"), "nothing can be installed now")
				if next == "taken back" {
					w.undo(changes)
					assert.Empty(t, installed(t))
					letGo()
					return
				}
				letGo()
				w.does(changes)
				assert.Equal(t, "ii a 1.1, ii slow 1.0", installed(t))
			})
		}
	})

	t.Run("an installation that is stopped is waited for, and none is cut off", func(t *testing.T) {
		w := outer.within(t)
		letGo := slow(t)
		ctx, cancel := context.WithCancel(t.Context())
		changes, failed := install(ctx, w)
		cancel()
		select {
		case err := <-failed:
			require.Fail(t, "it was not waited for", "%v", err)
		case <-time.After(2 * time.Second):
		}
		letGo()
		require.ErrorIs(t, <-failed, context.Canceled)
		assert.Equal(t, "ii a 1.1, ii slow 1.0", installed(t))
		w.undo(changes)
		assert.Empty(t, installed(t))
	})

	t.Run("one that waits is cancelled", func(t *testing.T) {
		w := outer.within(t)
		release := lock(t, "/var/lib/dpkg/lock-frontend")
		changes, err := w.plan(intent{want: pkg("a", "")})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.apply(ctx, changes...), context.DeadlineExceeded)
		release()
		time.Sleep(2 * time.Second)
		assert.Empty(t, installed(t), "it does not go on")
	})

	t.Run("a bus that is killed in the middle is an error, and what was begun can be taken back", func(t *testing.T) {
		w := outer.within(t)
		letGo := slow(t)
		changes, failed := install(t.Context(), w)
		sh(t, "systemctl kill --signal=KILL dbus.service")
		require.Error(t, <-failed)
		letGo()
		eventually(t, func() bool { _, err := w.bus.Names(t.Context()); return err == nil })
		w.undo(changes)
		assert.Empty(t, installed(t))
	})

	t.Run("a service that hangs is an error that names it", func(t *testing.T) {
		w := outer.within(t)
		letGo := slow(t)
		changes, failed := install(t.Context(), w)
		began := time.Now()
		sh(t, "pkill -STOP -x -o packagekitd")
		read := make(chan error, 1)
		go func() {
			_, err := w.kind(pkg("a", "")).Read(t.Context(), []state.Addr{addr(pkg("a", ""))}, []state.Object{pkg("a", "")})
			read <- err
		}()
		err := <-failed
		require.ErrorContains(t, err, "org.freedesktop.PackageKit did not answer Get within 25s; the service may hang")
		assert.ErrorContains(t, err, "the package system is locked: process ", "dpkg goes on")
		assert.Less(t, time.Since(began), time.Minute)
		require.ErrorContains(t, <-read, "cannot read packages: org.freedesktop.PackageKit did not answer CreateTransaction within 25s; the service may hang")
		sh(t, "pkill -CONT -x -o packagekitd")
		letGo()
		w.undo(changes)
		assert.Empty(t, installed(t))
	})

	t.Run("what the host cannot do without is not removed", func(t *testing.T) {
		w := outer.within(t)
		dash := pkg("", "removed")
		dash.Name = "dash"
		_, err := w.plan(intent{want: dash})
		require.ErrorContains(t, err, "cannot remove dash ")
		assert.ErrorContains(t, err, "the host cannot do without it")
	})

	t.Run("who may not is told so", func(t *testing.T) {
		outer.within(t)
		out, err := says(t, "cp /proc/"+strconv.Itoa(os.Getpid())+"/exe /tmp/as-nobody && "+nobody+"=1 setpriv --reuid=nobody --clear-groups /tmp/as-nobody -test.run='^TestOnMachineAsNobody$'; code=$?; rm /tmp/as-nobody; exit $code")
		require.NoError(t, err, out)
		assert.Empty(t, installed(t))
	})
}

// nobody is set where TestOnMachineAsNobody runs as somebody who may not install packages.
const nobody = "OPDBUS_TEST_AS_NOBODY"

func TestOnMachineAsNobody(t *testing.T) {
	if os.Getenv(nobody) == "" {
		t.Skip("runs as nobody, by TestOnMachineFailures")
	}
	w := newWorld(t)
	changes, err := w.plan(intent{want: pkg("a", "")})
	require.NoError(t, err, "who may not install may plan")
	err = w.apply(t.Context(), changes...)
	require.ErrorContains(t, err, "cannot install opdbus-test-a 1.1: polkit does not allow it to this user: Failed to obtain authentication")
}

// lock locks a file as apt does.
func lock(t *testing.T, file string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o640)
	require.NoError(t, err)
	require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	release = func() { _ = f.Close() }
	t.Cleanup(release)
	return release
}
