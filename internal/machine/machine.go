package machine

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// A Machine is one that runs, until the test ends. Its disk is its own; what is on it stays over Reboot and Cut.
type Machine struct {
	t     testing.TB
	dir   string   // of its image and what else there is of it on the host
	areas []string // the beginning of the paths of its cgroups, one in each hierarchy
	boots int
	boot  *boot
}

// New boots a fresh machine. Where none can be booted the test is skipped, with the reason; with CI=true it fails.
func New(t testing.TB) *Machine {
	t.Helper()
	snapshottest.Need(t, append(tools(), "systemd-nspawn", "btrfstune", "nsenter")...)
	image, cost, err := base(t.Context())
	if err != nil {
		snapshottest.Lack(t, "needs a machine: %v", err)
	}
	if cost > 0 {
		t.Logf("building %s took %s", image, cost.Round(time.Second))
	}
	hierarchies, err := hierarchies()
	if err != nil {
		snapshottest.Lack(t, "needs a machine: %v", err)
	}
	m := &Machine{t: t}
	m.dir, err = os.MkdirTemp("", "opdbus-machine-")
	require.NoError(t, err)
	for _, h := range hierarchies {
		m.areas = append(m.areas, filepath.Join(h, m.Name()))
	}
	guard(t, m.dir, m.areas)
	require.NoError(t, os.WriteFile(m.path("boot.sh"), []byte(bootScript), 0o600))
	host(t, "cp", "--sparse=always", "--reflink=auto", image, m.path("image"))
	host(t, "btrfstune", "-f", "-m", m.path("image")) // before Linux 6.7 no two that are mounted may have one id
	t.Cleanup(func() {
		if m.boot != nil {
			m.kill()
		}
	})
	if err := m.start(); err != nil {
		snapshottest.Lack(t, "needs a machine: %v", err)
	}
	return m
}

// Name is the machine's name on the host, which is in the path of everything that there is of it.
func (m *Machine) Name() string { return filepath.Base(m.dir) }

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

// Cmd is a command in the machine, as root and with nothing of the test's environment. When it is killed, what runs in the machine goes
// on.
func (m *Machine) Cmd(ctx context.Context, argv ...string) *exec.Cmd {
	return m.unit(ctx, []string{"--wait", "--pipe"}, `"$@"`, argv...) // the shell tells of signals
}

// unit has the machine's systemd start a script of the shell, with its arguments, as a unit, and so it may what the machine may: what
// nsenter(1) itself starts has all the capabilities of the host's root, and could set the host's clock.
//
// The command line that systemd has is without a dollar sign: systemd 252 would expand variables in it, and where a daemon-reload makes it
// read the unit's file before the unit is started, it would take $$ for two of them.
func (m *Machine) unit(ctx context.Context, options []string, script string, argv ...string) *exec.Cmd {
	var text strings.Builder
	text.WriteString("set --")
	for _, arg := range argv {
		text.WriteString(" '" + strings.ReplaceAll(arg, "'", `'\''`) + "'")
	}
	text.WriteString("\n" + script)
	args := append([]string{"systemd-run", "--quiet", "--collect", "--setenv=HOME=/root", "--setenv=LANG=C.UTF-8"}, options...)
	args = append(args, "--", "sh", "-c", "eval \"`echo "+base64.StdEncoding.EncodeToString([]byte(text.String()))+" | base64 -d`\"")
	cmd := m.Traceable(ctx, args...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Traceable is a command in the machine that is this process's own child, and that it can trace, and with the capabilities of the host's
// root: it must be one that does no more than the test knows.
func (m *Machine) Traceable(ctx context.Context, argv ...string) *exec.Cmd {
	args := append([]string{"--target", strconv.Itoa(m.boot.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd",
		"env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin"}, argv...)
	return exec.CommandContext(ctx, "nsenter", args...)
}

// Run runs a command in the machine. It returns the exit code, which for one that a signal ended is 128 and the signal's number, and
// everything that it printed.
func (m *Machine) Run(ctx context.Context, argv ...string) (code int, out string) {
	m.t.Helper()
	text, err := m.Cmd(ctx, argv...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(m.t, err, "%v: %s", argv, text)
	}
	if exit != nil {
		return exit.ExitCode(), string(text)
	}
	return 0, string(text)
}

// Do runs a command in the machine that must succeed, and returns what it printed.
func (m *Machine) Do(argv ...string) string {
	m.t.Helper()
	code, out := m.Run(m.t.Context(), argv...)
	require.Zero(m.t, code, "%v: %s", argv, out)
	return out
}

// Put writes a file in the machine, and makes the directories above it.
func (m *Machine) Put(path, content string, mode os.FileMode) {
	m.t.Helper()
	root := m.root()
	defer root.Close()
	name := strings.TrimPrefix(path, "/")
	require.NoError(m.t, root.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(m.t, root.WriteFile(name, []byte(content), mode))
	require.NoError(m.t, root.Chmod(name, mode))
}

// Install copies a file of the host, such as a program.
func (m *Machine) Install(file, path string) {
	m.t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(m.t, err)
	m.Put(path, string(content), 0o755)
}

// Get reads a file in the machine.
func (m *Machine) Get(path string) string {
	m.t.Helper()
	root := m.root()
	defer root.Close()
	f, err := root.Open(strings.TrimPrefix(path, "/"))
	require.NoError(m.t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	require.NoError(m.t, err)
	return string(content)
}

// root is the machine's root seen from the host. No link in it leads out of it.
func (m *Machine) root() *os.Root {
	m.t.Helper()
	root, err := os.OpenRoot("/proc/" + strconv.Itoa(m.boot.leader) + "/root")
	require.NoError(m.t, err)
	return root
}
