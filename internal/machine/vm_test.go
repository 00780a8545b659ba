package machine_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestOnEmulated(t *testing.T) {
	if !machine.Emulated() {
		t.Skip("runs on the emulated machine, by TestVM")
	}
	t.Run("is inside too", func(t *testing.T) { assert.True(t, machine.Inside()) })
	t.Run("loads modules when they are needed", func(t *testing.T) {
		out, err := exec.Command("ip", "link", "add", "d0", "type", "dummy").CombinedOutput()
		require.NoError(t, err, "%s", out)
		modules, err := os.ReadFile("/proc/modules")
		require.NoError(t, err)
		assert.Contains(t, string(modules), "dummy ")
	})
}

func TestOnEmulatedThatFails(t *testing.T) {
	if !machine.Emulated() {
		t.Skip("runs on the emulated machine, by TestOutside")
	}
	assert.Fail(t, "failed on purpose")
}

func TestVM(t *testing.T) {
	name := ""
	t.Run("that runs", func(t *testing.T) {
		m := machine.NewEmulated(t)
		name = m.Name()

		t.Run("has a kernel of its own, and has booted", func(t *testing.T) {
			host, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
			require.NoError(t, err)
			assert.NotEqual(t, string(host), m.Do("cat", "/proc/sys/kernel/random/boot_id"))
			assert.Equal(t, "running\n", m.Do("systemctl", "is-system-running"))
			assert.Equal(t, "btrfs\n/dev/vda[/@op-dbus]\n", m.Do("sh", "-c", "stat --file-system --format=%T /; findmnt -no SOURCE /var/lib/op-dbus"))
		})

		t.Run("has the host's time", func(t *testing.T) {
			at, err := time.Parse("2006-01-02T15:04:05Z\n", m.Do("date", "--utc", "+%Y-%m-%dT%H:%M:%SZ"))
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now(), at, time.Minute)
		})

		t.Run("runs commands, with their exit codes and what they print", func(t *testing.T) {
			for command, want := range map[string]string{
				"echo out; echo err >&2": "0 out\nerr\n",
				"exit 3":                 "3 ",
				"kill -KILL $$":          "137 Killed\n",
				`echo "$HOME $GOPATH"`:   "0 /root \n",
			} {
				code, out := m.Run(t.Context(), "sh", "-c", command)
				assert.Equal(t, want, fmt.Sprint(code)+" "+out, command)
			}
		})

		t.Run("gives and takes files, one after the other", func(t *testing.T) {
			for _, content := range []string{strings.Repeat("one\n", 1<<20), "two", ""} {
				m.Put("/etc/a/b", content, 0o640)
				assert.Equal(t, "640\n", m.Do("stat", "--format=%a", "/etc/a/b"))
				assert.True(t, content == m.Get("/etc/a/b"), "of %d bytes", len(content))
			}
		})

		t.Run("runs tests of the package that boots it", func(t *testing.T) { machine.RunTests(t, m, "^TestOnEmulated$") })
		assert.NotEmpty(t, left(t, name), "while it runs, there is something of it on the host")
	})

	t.Run("leaves nothing behind", func(t *testing.T) {
		if name == "" {
			snapshottest.Lack(t, "there was no machine")
		}
		nothingLeft(t, name)
	})
}
