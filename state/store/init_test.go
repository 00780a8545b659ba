package store_test

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
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
	"github.com/opdbus/opdbus/state/store"
)

func TestInitOnBtrfs(t *testing.T) {
	host := onBtrfs(t)
	defer unix.Umask(unix.Umask(0o077))

	t.Run("makes what is missing and says so", func(t *testing.T) {
		report, err := store.Init(t.Context(), host, store.Options{NoImage: true})
		require.NoError(t, err)
		assert.Equal(t, `made directory /var
made directory /var/lib
made directory /var/lib/op-dbus
made directory /var/lib/op-dbus/staging
made directory /var/lib/op-dbus/staging/snapshots
made directory /var/lib/op-dbus/deployment
made directory /var/lib/op-dbus/deployment/images
made directory /var/lib/op-dbus/state
made directory /var/lib/op-dbus/state/journal
made key /var/lib/op-dbus/state/key
made directory /etc
made directory /etc/systemd
made directory /etc/systemd/system
made directory /etc/systemd/system/multi-user.target.wants
made unit /etc/systemd/system/opdbus-recover.service
made link /etc/systemd/system/multi-user.target.wants/opdbus-recover.service
made unit /etc/systemd/system/opdbus-network.service
made link /etc/systemd/system/multi-user.target.wants/opdbus-network.service
made unit /etc/systemd/system/opdbus-switch.service
made directory /etc/systemd/system/paths.target.wants
made unit /etc/systemd/system/opdbus-switch.path
made link /etc/systemd/system/paths.target.wants/opdbus-switch.path
`, lines(host, report))
		assert.True(t, report.Made())
		assert.Equal(t, recoverTree+storeTree, tree(t, host))
	})

	t.Run("does nothing the second time", func(t *testing.T) {
		key, err := os.ReadFile(store.LayoutOf(host).Key())
		require.NoError(t, err)
		report, err := store.Init(t.Context(), host, store.Options{})
		require.NoError(t, err)
		assert.Equal(t, `directory /var/lib/op-dbus is there already
directory /var/lib/op-dbus/staging is there already
directory /var/lib/op-dbus/staging/snapshots is there already
directory /var/lib/op-dbus/deployment is there already
directory /var/lib/op-dbus/deployment/images is there already
directory /var/lib/op-dbus/state is there already
directory /var/lib/op-dbus/state/journal is there already
key /var/lib/op-dbus/state/key is there already
unit /etc/systemd/system/opdbus-recover.service is there already
link /etc/systemd/system/multi-user.target.wants/opdbus-recover.service is there already
unit /etc/systemd/system/opdbus-network.service is there already
link /etc/systemd/system/multi-user.target.wants/opdbus-network.service is there already
unit /etc/systemd/system/opdbus-switch.service is there already
unit /etc/systemd/system/opdbus-switch.path is there already
link /etc/systemd/system/paths.target.wants/opdbus-switch.path is there already
`, lines(host, report))
		assert.False(t, report.Made())
		again, err := os.ReadFile(store.LayoutOf(host).Key())
		require.NoError(t, err)
		assert.Equal(t, key, again)
		assert.Len(t, key, 32)
	})

	t.Run("holds nodes and their snapshots", func(t *testing.T) { holdsNodes(t, host) })

	t.Run("mends what is missing", func(t *testing.T) {
		l := store.LayoutOf(host)
		require.NoError(t, os.RemoveAll(l.State()))
		_, err := store.Init(t.Context(), host, store.Options{})
		require.NoError(t, err)
		_, err = store.Open(host)
		require.NoError(t, err)
	})

	t.Run("a failure takes back what was made", func(t *testing.T) {
		host := onBtrfs(t)
		staging := store.LayoutOf(host).Staging()
		require.NoError(t, os.MkdirAll(filepath.Dir(staging), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(staging), "state"), nil, 0o644))
		before := tree(t, host)
		_, err := store.Init(t.Context(), host, store.Options{})
		assert.ErrorContains(t, err, "cannot make store "+filepath.Dir(staging)+": "+filepath.Join(filepath.Dir(staging), "state")+" is not a directory; move it away")
		assert.Equal(t, before, tree(t, host))
	})

	t.Run("a damaged key is said so", func(t *testing.T) {
		host := initialised(t, onBtrfs(t))
		require.NoError(t, os.WriteFile(store.LayoutOf(host).Key(), []byte("short"), 0o600))
		_, err := store.Init(t.Context(), host, store.Options{})
		assert.ErrorContains(t, err, "state/key has 5 bytes instead of 32; put it back from a backup")
	})

	t.Run("a read-only file system is said so", func(t *testing.T) {
		host := onBtrfs(t)
		snapshottest.Remount(t, host.Root, "ro")
		_, err := store.Init(t.Context(), host, store.Options{})
		assert.ErrorIs(t, err, unix.EROFS)
		assert.ErrorContains(t, err, host.Root+"/var: read-only file system; remount its file system writable")
	})
}

// holdsNodes takes a node through what a run does with it.
func holdsNodes(t *testing.T, host state.Host) {
	s, err := store.Open(host)
	require.NoError(t, err)
	node := state.NodeAddr{Type: state.StageNode, Name: "core"}
	require.NoError(t, host.Subvolumes.Create(s.NodeDir(node)))
	record := snapshot.Record{Head: snapshot.Head{Run: 1, Node: node, Phase: snapshot.Pre}}
	info, err := snapshot.Take(host.Subvolumes, s.Snapshots(), s.NodeDir(node), record)
	require.NoError(t, err)
	require.NoError(t, host.Subvolumes.Snapshot(info.Path, s.Beside(node), false))
	require.NoError(t, host.Subvolumes.Exchange(s.NodeDir(node), s.Beside(node)))
	for _, path := range []string{s.Beside(node), s.NodeDir(node), info.Path} {
		require.NoError(t, host.Subvolumes.Delete(path))
	}
}

func TestInitOffBtrfs(t *testing.T) {
	host := onTmpfs(t, 1024)
	l := store.LayoutOf(host)

	t.Run("refuses when no image is wanted", func(t *testing.T) {
		_, err := store.Init(t.Context(), host, store.Options{NoImage: true})
		assert.EqualError(t, err, "cannot make store "+l.Dir()+": it is not on btrfs but on tmpfs, and an image is not wanted; mount a btrfs file system there, or leave out --no-image")
		assert.Equal(t, "", tree(t, host))
	})

	t.Run("makes an image, mounts it and sees to the next boot", func(t *testing.T) {
		report, err := store.Init(t.Context(), host, store.Options{})
		require.NoError(t, err)
		assert.Equal(t, `made directory /var
made directory /var/lib
made directory /var/lib/op-dbus
made image /var/lib/op-dbus.btrfs
made mount /var/lib/op-dbus
made directory /etc
made directory /etc/systemd
made directory /etc/systemd/system
made directory /etc/systemd/system/local-fs.target.wants
made unit /etc/systemd/system/var-lib-op\x2ddbus.mount
made link /etc/systemd/system/local-fs.target.wants/var-lib-op\x2ddbus.mount
made directory /var/lib/op-dbus/staging
made directory /var/lib/op-dbus/staging/snapshots
made directory /var/lib/op-dbus/deployment
made directory /var/lib/op-dbus/deployment/images
made directory /var/lib/op-dbus/state
made directory /var/lib/op-dbus/state/journal
made key /var/lib/op-dbus/state/key
made directory /etc/systemd/system/multi-user.target.wants
made unit /etc/systemd/system/opdbus-recover.service
made link /etc/systemd/system/multi-user.target.wants/opdbus-recover.service
made unit /etc/systemd/system/opdbus-network.service
made link /etc/systemd/system/multi-user.target.wants/opdbus-network.service
made unit /etc/systemd/system/opdbus-switch.service
made directory /etc/systemd/system/paths.target.wants
made unit /etc/systemd/system/opdbus-switch.path
made link /etc/systemd/system/paths.target.wants/opdbus-switch.path
`, lines(host, report))
		assert.Equal(t, unitTree+storeTree+"-rw------- /var/lib/op-dbus.btrfs 512 MiB\n", tree(t, host))
		var st unix.Stat_t
		require.NoError(t, unix.Stat(l.Image(), &st))
		assert.Less(t, st.Blocks*512, int64(64<<20), "the image is sparse")
	})

	t.Run("the unit speaks of paths inside the root", func(t *testing.T) {
		content, err := os.ReadFile(host.Path(`/etc/systemd/system/var-lib-op\x2ddbus.mount`))
		require.NoError(t, err)
		assert.Equal(t, `[Unit]
Description=Store of opdbus

[Mount]
What=/var/lib/op-dbus.btrfs
Where=/var/lib/op-dbus
Type=btrfs
Options=loop,noatime,discard=async

[Install]
WantedBy=local-fs.target
`, string(content))
	})

	t.Run("does nothing the second time", func(t *testing.T) {
		before := tree(t, host)
		report, err := store.Init(t.Context(), host, store.Options{})
		require.NoError(t, err)
		assert.False(t, report.Made(), "%v", report)
		assert.Equal(t, before, tree(t, host))
	})

	t.Run("holds nodes and their snapshots", func(t *testing.T) { holdsNodes(t, host) })

	t.Run("mounts the image again, with what is in it, even where none would be made", func(t *testing.T) {
		before := tree(t, host)
		unmount(host)
		report, err := store.Init(t.Context(), host, store.Options{NoImage: true})
		require.NoError(t, err)
		assert.Contains(t, lines(host, report), "image /var/lib/op-dbus.btrfs is there already\nmade mount /var/lib/op-dbus\nunit ")
		assert.Equal(t, before, tree(t, host))
	})

	t.Run("keeps a unit that was changed", func(t *testing.T) {
		unit := host.Path(`/etc/systemd/system/var-lib-op\x2ddbus.mount`)
		require.NoError(t, os.WriteFile(unit, []byte("mine"), 0o644))
		initialised(t, host)
		content, err := os.ReadFile(unit)
		require.NoError(t, err)
		assert.Equal(t, "mine", string(content))
	})
}

func TestInitAfterTrouble(t *testing.T) {
	made := unitTree + storeTree + "-rw------- /var/lib/op-dbus.btrfs 300 MiB\n"
	opts := store.Options{ImageSize: 300 << 20}
	put := func(t *testing.T, host state.Host, path, content string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(host.Path(path)), 0o755))
		require.NoError(t, os.WriteFile(host.Path(path), []byte(content), 0o600))
	}

	t.Run("a power cut while the image was made is mended", func(t *testing.T) {
		host := onTmpfs(t, 512)
		put(t, host, "/var/lib/op-dbus.btrfs.new", "half an image")
		_, err := store.Init(t.Context(), host, opts)
		require.NoError(t, err)
		assert.Equal(t, made, tree(t, host))
	})

	t.Run("a power cut before anything but the image was made is mended", func(t *testing.T) {
		host := onTmpfs(t, 512)
		_, err := store.Init(t.Context(), host, opts)
		require.NoError(t, err)
		require.NoError(t, os.RemoveAll(store.LayoutOf(host).Staging()))
		require.NoError(t, os.RemoveAll(store.LayoutOf(host).State()))
		unmount(host)
		require.NoError(t, os.RemoveAll(host.Path("/etc")))
		require.NoError(t, os.Remove(host.Path("/var/lib/op-dbus")))
		_, err = store.Init(t.Context(), host, opts)
		require.NoError(t, err)
		assert.Equal(t, made, tree(t, host))
	})

	for _, c := range []struct {
		what    string
		arrange func(t *testing.T, host state.Host)
		opts    store.Options
		want    string
	}{
		{"contents that a mount would hide", func(t *testing.T, host state.Host) { put(t, host, "/var/lib/op-dbus/old", "") }, opts,
			"it is not on btrfs and holds old, which mounting the image ROOT/var/lib/op-dbus.btrfs there would hide; move it elsewhere"},
		{"an image that is none", func(t *testing.T, host state.Host) { put(t, host, "/var/lib/op-dbus.btrfs", "precious") }, opts,
			"ROOT/var/lib/op-dbus.btrfs is in the way, which holds no btrfs file system; move it away"},
		{"an image that does not mount", func(t *testing.T, host state.Host) {
			put(t, host, "/var/lib/op-dbus.btrfs", strings.Repeat("\x00", 64<<10+64)+"_BHRfS_M"+strings.Repeat("\x00", 1<<20))
		}, opts, "mount -t btrfs -o loop,noatime,discard=async ROOT/var/lib/op-dbus.btrfs ROOT/var/lib/op-dbus: exit status 32: mount: "},
		{"a size too small for mkfs", func(*testing.T, state.Host) {}, store.Options{ImageSize: 1 << 20},
			"--label op-dbus ROOT/var/lib/op-dbus.btrfs.new: exit status 1: "},
		{"units that cannot be written", func(t *testing.T, host state.Host) { put(t, host, "/etc/systemd", "a file") }, opts,
			"ROOT/etc/systemd/system: not a directory"},
		{"a unit that cannot be enabled", func(t *testing.T, host state.Host) {
			put(t, host, "/etc/systemd/system/local-fs.target.wants", "a file")
		}, opts, `local-fs.target.wants/var-lib-op\x2ddbus.mount: not a directory`},
		{"a unit of recovery that cannot be enabled", func(t *testing.T, host state.Host) {
			put(t, host, "/etc/systemd/system/multi-user.target.wants", "a file")
		}, opts, `multi-user.target.wants/opdbus-recover.service: not a directory`},
		{"a link out of the root", func(t *testing.T, host state.Host) { require.NoError(t, os.Symlink("/tmp", host.Path("/var"))) }, opts,
			"ROOT/var leads out of the root ROOT to /tmp"},
		{"a link to the store", func(t *testing.T, host state.Host) {
			put(t, host, "/var/lib/x", "")
			require.NoError(t, os.Mkdir(host.Path("/data"), 0o755))
			require.NoError(t, os.Symlink("../../data", host.Path("/var/lib/op-dbus")))
		}, opts, "a link leads to it, where systemd does not mount; it is at ROOT/data"},
		{"another file system there", func(t *testing.T, host state.Host) {
			put(t, host, "/var/lib/op-dbus.btrfs", "precious")
			require.NoError(t, os.Mkdir(host.Path("/var/lib/op-dbus"), 0o755))
			require.NoError(t, unix.Mount("tmpfs", host.Path("/var/lib/op-dbus"), "tmpfs", 0, ""))
		}, opts, "the image ROOT/var/lib/op-dbus.btrfs is there, and so is another file system mounted at ROOT/var/lib/op-dbus; unmount one or move the other away"},
	} {
		t.Run(c.what+" is refused, and nothing is left or lost", func(t *testing.T) {
			host := onTmpfs(t, 512)
			c.arrange(t, host)
			before := tree(t, host)
			_, err := store.Init(t.Context(), host, c.opts)
			require.Error(t, err)
			assert.Contains(t, strings.ReplaceAll(err.Error(), host.Root, "ROOT"), c.want)
			assert.NotContains(t, err.Error(), "cannot take back")
			assert.Equal(t, before, tree(t, host))
		})
	}

	t.Run("too little space for an image is said so", func(t *testing.T) {
		host := onTmpfs(t, 300)
		_, err := store.Init(t.Context(), host, store.Options{})
		assert.EqualError(t, err, "cannot make store "+host.Root+"/var/lib/op-dbus: "+host.Root+"/var/lib has 300 MiB free, and an image needs twice 256 MiB; free some space")
		assert.Equal(t, "", tree(t, host))
	})

	t.Run("a missing program is said so with what to install", func(t *testing.T) {
		_, err := store.Program("mkfs.none", "btrfs-progs")
		assert.EqualError(t, err, "mkfs.none is missing; run `apt install btrfs-progs`")
	})

	t.Run("an Init that is cancelled leaves nothing", func(t *testing.T) {
		host := onTmpfs(t, 512)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := store.Init(ctx, host, opts)
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, "", tree(t, host))
	})

	t.Run("mkfs.btrfs is found though PATH does not lead to it", func(t *testing.T) {
		if _, err := exec.LookPath("/usr/sbin/mkfs.btrfs"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("mkfs.btrfs is not in /usr/sbin")
			}
			t.Skip("mkfs.btrfs is not in /usr/sbin")
		}
		host := onTmpfs(t, 512)
		t.Setenv("PATH", "/usr/bin:/bin")
		_, err := store.Init(t.Context(), host, opts)
		require.NoError(t, err)
	})

	t.Run("two at once are as good as one after the other", func(t *testing.T) {
		host := onTmpfs(t, 512)
		var both sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			both.Go(func() { _, errs[i] = store.Init(t.Context(), host, opts) })
		}
		both.Wait()
		assert.Equal(t, []error{nil, nil}, errs)
		assert.Equal(t, made, tree(t, host))
	})

	t.Run("a lock that stays is said so", func(t *testing.T) {
		host := onTmpfs(t, 512)
		require.NoError(t, os.MkdirAll(host.Path("/var/lib"), 0o755))
		d, err := os.Open(host.Path("/var/lib"))
		require.NoError(t, err)
		defer d.Close()
		require.NoError(t, unix.Flock(int(d.Fd()), unix.LOCK_EX))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = store.Init(ctx, host, opts)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "cannot lock "+host.Root+"/var/lib, somebody else has")
	})
}
