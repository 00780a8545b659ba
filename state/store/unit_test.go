package store_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
	"github.com/opdbus/opdbus/state/store"
)

func TestMountUnit(t *testing.T) {
	t.Run("is called as systemd wants it, whatever the store's path", func(t *testing.T) {
		snapshottest.Need(t, "systemd-escape")
		host := onTmpfs(t, 512)
		host.Store = "/srv/a b-c%d.x/.öp"
		t.Cleanup(func() { unmount(host) })
		_, err := store.Init(t.Context(), host, store.Options{ImageSize: 300 << 20})
		require.NoError(t, err)
		name, err := exec.Command("systemd-escape", "--path", "--suffix=mount", host.Store).Output()
		require.NoError(t, err)
		content, err := os.ReadFile(host.Path("/etc/systemd/system/" + strings.TrimSpace(string(name))))
		require.NoError(t, err)
		assert.Contains(t, string(content), "What=/srv/a b-c%%d.x/.öp.btrfs\nWhere=/srv/a b-c%%d.x/.öp\n")
		_, err = store.Open(host)
		require.NoError(t, err)
	})
}

func TestRecoverUnit(t *testing.T) {
	text := func(t *testing.T, host state.Host) string {
		t.Helper()
		content, err := os.ReadFile(host.Path("/etc/systemd/system/" + store.LayoutOf(host).RecoverUnit()))
		require.NoError(t, err)
		return string(content)
	}

	t.Run("comes after the file systems and before the network", func(t *testing.T) {
		assert.Equal(t, `[Unit]
Description=Take back the run of opdbus that was cut off
DefaultDependencies=no
RequiresMountsFor=/var/lib/op-dbus
After=local-fs.target
Before=systemd-sysctl.service systemd-tmpfiles-setup.service sysinit.target network-pre.target
Wants=network-pre.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionFileIsExecutable=/usr/local/bin/opdbus
ConditionDirectoryNotEmpty=/var/lib/op-dbus/state/journal
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/opdbus recover
TimeoutStartSec=10min
Restart=on-failure
RestartSec=15

[Install]
WantedBy=multi-user.target
`, text(t, initialised(t, onBtrfs(t))))
	})

	t.Run("runs the program that made it, as the root has it", func(t *testing.T) {
		root := t.TempDir()
		inRoot, onHost := store.LayoutOf(state.Host{Root: root}), store.LayoutOf(state.Host{})
		assert.Equal(t, "/opt/opdbus", inRoot.Program(root+"/opt/opdbus"))
		assert.Equal(t, "/usr/local/bin/opdbus", inRoot.Program(root+"2/opt/opdbus"))
		assert.Equal(t, "/opt/opdbus", onHost.Program("/opt/opdbus"))
	})

	t.Run("is one of its own for each store, whatever its path", func(t *testing.T) {
		host := onBtrfs(t)
		initialised(t, host)
		host.Store = `/srv/a b%d$x"y/öp`
		content := text(t, initialised(t, host))
		assert.Contains(t, content, `
RequiresMountsFor="/srv/a b%%d$x\"y/öp"
`)
		assert.Contains(t, content, `
ConditionDirectoryNotEmpty=/srv/a b%%d$x"y/öp/state/journal
`)
		assert.Contains(t, content, `
ExecStart=/usr/local/bin/opdbus recover --store "/srv/a b%%d$$x\"y/öp"
`)
	})

	t.Run("stays as somebody changed it", func(t *testing.T) {
		host := initialised(t, onBtrfs(t))
		require.NoError(t, os.WriteFile(host.Path("/etc/systemd/system/opdbus-recover.service"), []byte("mine"), 0o644))
		initialised(t, host)
		assert.Equal(t, "mine", text(t, host))
	})

	t.Run("holds no path with a line in it", func(t *testing.T) {
		host := onBtrfs(t)
		host.Store = "/srv/a\nExecStart=b"
		_, err := store.Init(t.Context(), host, store.Options{})
		assert.ErrorContains(t, err, "its path has a control character, which no unit of systemd can hold")
		assert.Equal(t, "", tree(t, host))
	})
}
