package store_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
	"github.com/opdbus/opdbus/state/store"
)

func TestLayout(t *testing.T) {
	t.Run("is what the store's readers rely on", func(t *testing.T) {
		l := store.LayoutOf(state.Host{Root: "/r"})
		stage := state.NodeAddr{Type: state.StageNode, Name: "core"}
		plugin := state.NodeAddr{Type: state.PluginNode, Name: "lxc", Key: "a b"}
		assert.Equal(t, strings.Fields(`/r/var/lib/op-dbus /r/var/lib/op-dbus/staging /r/var/lib/op-dbus/staging/snapshots
			/r/var/lib/op-dbus/staging/core /r/var/lib/op-dbus/staging/.core.beside
			/r/var/lib/op-dbus/staging/plugin.lxc@a%20b /r/var/lib/op-dbus/staging/.plugin.lxc@a%20b.beside
			/r/var/lib/op-dbus/deployment/images /r/var/lib/op-dbus/state /r/var/lib/op-dbus/state/ledger.json
			/r/var/lib/op-dbus/state/lock /r/var/lib/op-dbus/state/journal /r/var/lib/op-dbus/state/key /r/var/lib/op-dbus.btrfs`),
			[]string{l.Dir(), l.Staging(), l.Snapshots(), l.NodeDir(stage), l.Beside(stage), l.NodeDir(plugin), l.Beside(plugin),
				l.Images(), l.State(), l.Ledger(), l.Lock(), l.JournalDir(), l.Key(), l.Image()})
	})
	t.Run("follows the host's store", func(t *testing.T) {
		assert.Equal(t, "/srv/x/state", store.LayoutOf(state.Host{Store: "/srv/x/"}).State())
	})
}

func TestOpen(t *testing.T) {
	host := initialised(t, onBtrfs(t))

	t.Run("opens what Init made", func(t *testing.T) {
		s, err := store.Open(host)
		require.NoError(t, err)
		require.NoError(t, s.Writable())
		key, err := s.ReadKey()
		require.NoError(t, err)
		assert.Len(t, key, 32)
	})

	for _, c := range []struct {
		what string
		host func(t *testing.T) state.Host
		want string
	}{
		{"there is none", func(t *testing.T) state.Host { return state.Host{Root: t.TempDir()} },
			"store ROOT/var/lib/op-dbus does not exist: run `opdbus init`"},
		{"it is not on btrfs", func(t *testing.T) state.Host {
			host := onTmpfs(t, 16)
			require.NoError(t, os.MkdirAll(host.Path(store.DefaultDir), 0o755))
			return host
		}, "store ROOT/var/lib/op-dbus is not on btrfs (tmpfs): run `opdbus init`"},
		{"its image is not mounted", func(t *testing.T) state.Host {
			host := initialised(t, onTmpfs(t, 1024))
			unmount(host)
			return host
		}, "store ROOT/var/lib/op-dbus is not mounted: it is in the image ROOT/var/lib/op-dbus.btrfs; run `opdbus init`, or `mount -o loop ROOT/var/lib/op-dbus.btrfs ROOT/var/lib/op-dbus`"},
		{"a part is missing", func(t *testing.T) state.Host {
			host := initialised(t, onBtrfs(t))
			require.NoError(t, os.Remove(store.LayoutOf(host).Snapshots()))
			return host
		}, "store ROOT/var/lib/op-dbus is not initialised (ROOT/var/lib/op-dbus/staging/snapshots is missing): run `opdbus init`"},
	} {
		t.Run("says that "+c.what+" and what to do", func(t *testing.T) {
			host := c.host(t)
			_, err := store.Open(host)
			require.Error(t, err)
			assert.Equal(t, c.want, strings.ReplaceAll(err.Error(), host.Root, "ROOT"))
			assert.ErrorIs(t, err, fs.ErrNotExist)
		})
	}

	t.Run("a store on btrfs does not mind an image that was left beside it", func(t *testing.T) {
		host := initialised(t, onBtrfs(t))
		require.NoError(t, os.WriteFile(store.LayoutOf(host).Image(), nil, 0o600))
		_, err := store.Open(host)
		require.NoError(t, err)
		report, err := store.Init(t.Context(), host, store.Options{})
		require.NoError(t, err)
		assert.False(t, report.Made())
		assert.NoFileExists(t, host.Path(`/etc/systemd/system/var-lib-op\x2ddbus.mount`))
	})

	t.Run("a damaged key is said so when it is read", func(t *testing.T) {
		host := initialised(t, onBtrfs(t))
		s, err := store.Open(host)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.Key(), nil, 0o600))
		_, err = s.ReadKey()
		assert.ErrorContains(t, err, s.Key()+" has 0 bytes instead of 32")
	})
}

func TestWritable(t *testing.T) {
	t.Run("a read-only file system can be opened and not changed", func(t *testing.T) {
		host := initialised(t, onBtrfs(t))
		snapshottest.Remount(t, host.Root, "ro")
		s, err := store.Open(host)
		require.NoError(t, err)
		err = s.Writable()
		assert.ErrorIs(t, err, unix.EROFS)
		assert.EqualError(t, err, "store "+s.Dir()+" is read-only: look into the kernel's log for why, then run `mount -o remount,rw` on the file system that holds it")
	})

	t.Run("somebody else than root is told so", func(t *testing.T) {
		if root := os.Getenv("STORE_TEST_ROOT"); root != "" {
			reportAsNobody(t, root)
			return
		}
		snapshottest.Need(t)
		dir, err := os.MkdirTemp("", "store") // t.TempDir is root's only
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		require.NoError(t, os.Chmod(dir, 0o755))
		image := initialised(t, onBtrfs(t))
		mount := filepath.Join(dir, "root")
		require.NoError(t, os.Mkdir(mount, 0o755))
		require.NoError(t, unix.Mount(image.Root, mount, "", unix.MS_BIND, ""))
		t.Cleanup(func() { snapshottest.Unmount(t, mount) })
		self, err := os.ReadFile("/proc/self/exe")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "test"), self, 0o755))

		cmd := exec.Command(filepath.Join(dir, "test"), "-test.run", "TestWritable/somebody")
		cmd.Dir, cmd.Env = "/", []string{"STORE_TEST_ROOT=" + mount}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
}

// reportAsNobody runs in a process of its own.
func reportAsNobody(t *testing.T, root string) {
	host := state.Host{Root: root}
	dir := filepath.Join(root, store.DefaultDir)
	_, err := store.Open(host)
	assert.EqualError(t, err, "store "+dir+" cannot be read: run as root")
	assert.EqualError(t, (&store.Store{Layout: store.LayoutOf(host)}).Writable(), "store "+dir+" cannot be changed: run as root")
	_, err = store.Init(t.Context(), host, store.Options{})
	assert.EqualError(t, err, "cannot make store "+dir+": it takes root")
}

func TestFreeOutside(t *testing.T) {
	t.Run("of a store on btrfs is no limit", func(t *testing.T) {
		s, err := store.Open(initialised(t, onBtrfs(t)))
		require.NoError(t, err)
		_, image, err := s.FreeOutside()
		require.NoError(t, err)
		assert.Empty(t, image)
	})

	t.Run("of an image is what is left around it", func(t *testing.T) {
		host := onTmpfs(t, 600)
		_, err := store.Init(t.Context(), host, store.Options{ImageSize: 300 << 20})
		require.NoError(t, err)
		s, err := store.Open(host)
		require.NoError(t, err)
		before, image, err := s.FreeOutside()
		require.NoError(t, err)
		assert.Equal(t, s.Image(), image)
		ballast, err := os.Create(host.Path("/ballast"))
		require.NoError(t, err)
		require.NoError(t, errors.Join(unix.Fallocate(int(ballast.Fd()), 0, 0, 500<<20), ballast.Close()))
		after, _, err := s.FreeOutside()
		require.NoError(t, err)
		assert.InDelta(t, 500<<20, before-after, 1<<20)
	})
}
