package machine_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

func TestMachine(t *testing.T) {
	name := ""
	t.Run("that runs", func(t *testing.T) {
		m := machine.New(t)
		name = m.Name()

		t.Run("boots to where systemd has nothing left to do", func(t *testing.T) {
			assert.Equal(t, "running\n", m.Do("systemctl", "is-system-running", "--wait"))
			assert.Equal(t, "systemd\n", m.Do("cat", "/proc/1/comm"))
			assert.Equal(t, "btrfs\n", m.Do("stat", "--file-system", "--format=%T", "/"))
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

		t.Run("lets nobody in it do to the host what its first process may not", func(t *testing.T) {
			const setTime, loadModule, rawIO = 1 << 25, 1 << 16, 1 << 17 // capabilities(7)
			mask := func(process string) string {
				return strings.Fields(m.Do("grep", "^CapBnd:", "/proc/"+process+"/status"))[1]
			}
			capabilities, err := strconv.ParseUint(mask("self"), 16, 64)
			require.NoError(t, err)
			assert.Zero(t, capabilities&(setTime|loadModule|rawIO), "%x", capabilities)
			assert.Equal(t, mask("1"), mask("self"))
			assert.Equal(t, "lo\n", m.Do("ls", "/sys/class/net"))
			assert.Equal(t, "", m.Do("sh", "-c", "ls -d /dev/loop* /dev/sd* /dev/vd* /dev/nvme* 2>/dev/null || true"))
		})

		t.Run("gives and takes files", func(t *testing.T) {
			m.Put("/etc/a/b/c", "content", 0o640)
			assert.Equal(t, "640 content", m.Do("stat", "--printf=%a ", "/etc/a/b/c")+m.Get("/etc/a/b/c"))
			m.Do("ln", "-s", "/etc/hostname", "/outside")
			host, err := os.ReadFile("/etc/hostname")
			require.NoError(t, err)
			assert.NotEqual(t, string(host), m.Do("cat", "/outside"))
		})

		t.Run("has services that answer on its bus", func(t *testing.T) { services(t, m) })
		t.Run("has sessions of users", func(t *testing.T) { sessions(t, m) })
		t.Run("has packages to install, upgrade and remove", func(t *testing.T) { packages(t, m) })
		t.Run("runs tests of the package that boots it", func(t *testing.T) { machine.RunTests(t, m, "^TestOnMachine$") })

		t.Run("starts anew with all that is on its disk", func(t *testing.T) {
			boot := m.Do("cat", "/proc/sys/kernel/random/boot_id")
			m.Put("/kept", "kept", 0o644)
			m.Reboot()
			assert.Equal(t, "kept", m.Get("/kept"))
			assert.NotEqual(t, boot, m.Do("cat", "/proc/sys/kernel/random/boot_id"))
		})

		t.Run("starts anew without what was not synced when its power is cut", func(t *testing.T) {
			id := m.Do("cat", "/etc/machine-id")
			m.Do("sh", "-c", "echo synced >/synced; sync --file-system /synced")
			m.Put("/unsynced", "unsynced", 0o644)
			m.Cut()
			assert.Equal(t, "synced\n", m.Get("/synced"))
			code, _ := m.Run(t.Context(), "test", "-e", "/unsynced")
			assert.Equal(t, 1, code)
			assert.Equal(t, id, m.Do("cat", "/etc/machine-id"))
			assert.Equal(t, "running\n", m.Do("systemctl", "is-system-running", "--wait"))
		})

		assert.NotEmpty(t, left(t, name), "while it runs, there is something of it on the host")
	})

	t.Run("leaves nothing behind", func(t *testing.T) {
		if name == "" {
			snapshottest.Lack(t, "there was no machine")
		}
		nothingLeft(t, name)
	})
}

// TestKilled has a test's process killed in which a machine runs: itself, started once more with forOther set.
func TestKilled(t *testing.T) {
	const forOther = "OPDBUS_MACHINE_TEST"
	start := map[string]func() string{
		"a machine":           func() string { return machine.New(t).Name() },
		"an emulated machine": func() string { return machine.NewEmulated(t).Name() },
	}
	if name := start[os.Getenv(forOther)]; name != nil {
		fmt.Println("machine " + name())
		select {}
	}
	for what := range start {
		t.Run(what+" leaves nothing behind", func(t *testing.T) {
			snapshottest.Need(t, "systemd-nspawn", "mmdebstrap", "qemu-system-x86_64")
			other := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.v")
			other.Env = append(os.Environ(), forOther+"="+what)
			out, err := other.StdoutPipe()
			require.NoError(t, err)
			other.Stderr = other.Stdout
			require.NoError(t, other.Start())
			name, said := "", ""
			for lines := bufio.NewScanner(out); name == "" && lines.Scan(); {
				said += lines.Text() + "\n"
				if booted, ok := strings.CutPrefix(lines.Text(), "machine "); ok {
					name = booted
					assert.NotEmpty(t, left(t, name), "while it runs, there is something of it on the host")
				}
			}
			require.NoError(t, other.Process.Kill())
			_ = other.Wait()
			if strings.Contains(said, "--- SKIP") {
				snapshottest.Lack(t, "%s", said)
			}
			require.NotEmpty(t, name, said)
			nothingLeft(t, name)
		})
	}
}

// nothingLeft gives the kernel, and whoever reaps what has no parent any more, a moment.
func nothingLeft(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); len(left(t, name)) > 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	assert.Empty(t, left(t, name))
}

// left is what there is of a machine on the host: files, cgroups, mounts, loop devices and processes.
func left(t *testing.T, name string) (found []string) {
	t.Helper()
	for _, pattern := range []string{os.TempDir() + "/" + name, "/sys/fs/cgroup/" + name + "*", "/sys/fs/cgroup/*/" + name + "*"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, paths...)
	}
	for _, pattern := range []string{"/proc/self/mountinfo", "/sys/block/loop*/loop/backing_file", "/proc/[0-9]*/cmdline", "/proc/[0-9]*/cgroup"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), name) {
				found = append(found, path+": "+strings.ReplaceAll(string(content), "\x00", " "))
			}
		}
	}
	return found
}
