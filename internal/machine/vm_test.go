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
		t.Skip("runs on the emulated machine, by TestVMOutside")
	}
	t.Run("in part", func(t *testing.T) { assert.Fail(t, "failed on purpose") })
}

func TestOnEmulatedThatCrashes(t *testing.T) {
	if !machine.Emulated() {
		t.Skip("runs on the emulated machine, by TestVMOutside")
	}
	require.NoError(t, os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0o200))
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

// TestVMOutside has another process run tests on an emulated machine that fail: itself, started once more with forOther set.
func TestVMOutside(t *testing.T) {
	const forOther = "OPDBUS_MACHINE_TEST_VM"
	if os.Getenv(forOther) != "" {
		m := machine.NewEmulated(t)
		machine.RunTests(t, m, "^TestOnEmulatedThatIsNot$")
		machine.RunTests(t, m, "^TestOnEmulatedThatFails$")
		machine.RunTests(t, m, "^TestOnEmulatedThatCrashes$")
		return
	}
	snapshottest.Need(t, "qemu-system-x86_64")
	other := exec.Command(os.Args[0], "-test.run=^TestVMOutside$", "-test.v")
	other.Env = append(os.Environ(), forOther+"=1")
	out, err := other.CombinedOutput()
	said := string(out)
	if strings.Contains(said, "--- SKIP: TestVMOutside") {
		snapshottest.Lack(t, "%s", said)
	}

	t.Run("a test that fails on the machine fails", func(t *testing.T) {
		require.Error(t, err, said)
		assert.Contains(t, said, "    --- FAIL: TestVMOutside/TestOnEmulatedThatFails (")
		assert.Contains(t, said, "        --- FAIL: TestVMOutside/TestOnEmulatedThatFails/in_part (")
		assert.Contains(t, said, "failed on purpose")
		assert.Contains(t, said, "exit with code 1")
	})
	t.Run("one that ends the machine fails, with what its kernel said", func(t *testing.T) {
		assert.Contains(t, said, "the machine is gone")
		assert.Contains(t, said, "Kernel panic - not syncing: sysrq triggered crash")
	})
	t.Run("no test at all is a failure", func(t *testing.T) {
		assert.Contains(t, said, "no test matches ^TestOnEmulatedThatIsNot$")
	})
}
