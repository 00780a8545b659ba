package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// A VM is a machine with a kernel and a clock of its own, whose processor is emulated. It runs until the test ends.
type VM struct {
	t       testing.TB
	dir     string   // of its disk and what else there is of it on the host
	cgroups []string // its own, one in each hierarchy
	boot    *boot
	agent   *dialogue
}

// NewEmulated starts a fresh emulated machine, one that has booted. There is one at a time on a host: others wait until the test ends. Where
// there can be none the test is skipped, with the reason; with CI=true it fails.
func NewEmulated(t testing.TB) *VM {
	t.Helper()
	snapshottest.Need(t, append(tools(), "qemu-system-x86_64", "qemu-img", "apt-get", "dpkg-deb")...)
	lack := func(err error) {
		t.Helper()
		if err != nil {
			snapshottest.Lack(t, "needs an emulated machine: %v", err)
		}
	}
	lack(emulable())
	image, imageCost, err := base(t.Context())
	lack(err)
	// Each takes all that two processors have, so that several would only take longer, and more memory.
	unlock, err := lock(t.Context(), filepath.Join(filepath.Dir(image), "emulated.lock"))
	lack(err)
	t.Cleanup(unlock)
	from, cost, err := vmBase(t.Context(), image)
	lack(err)
	if cost += imageCost; cost > 0 {
		t.Logf("building %s took %s", from, cost.Round(time.Second))
	}
	hierarchies, err := hierarchies()
	lack(err)

	m := &VM{t: t}
	m.dir, err = os.MkdirTemp("", "opdbus-machine-")
	require.NoError(t, err)
	var areas []string
	for _, h := range hierarchies {
		areas = append(areas, filepath.Join(h, m.Name()))
		m.cgroups = append(m.cgroups, filepath.Join(h, m.Name()+".1"))
	}
	guard(t, m.dir, areas)
	host(t, "cp", "--sparse=always", "--reflink=auto", filepath.Join(from, "disk.qcow2"), m.path("disk.qcow2"))
	m.boot, err = emulate(from, m.dir, m.cgroups, "-loadvm", snapshotName)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = m.boot.cmd.Process.Kill()
		<-m.boot.exited
	})
	if m.agent, err = reach(m.path("agent"), m.boot, vmPatience); err != nil {
		lack(fmt.Errorf("%w: %s", err, spoken(m.dir)))
	}
	t.Cleanup(func() { _ = m.agent.conn.Close() })
	m.Do("date", "--utc", "--set="+time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z")) // it has the snapshot's
	return m
}

// Emulated tells whether the test runs on an emulated machine, where RunTests has started it. Inside is true there too.
func Emulated() bool { return os.Getenv(insideVariable) == emulated }

// Name is the machine's name on the host, which is in the path of everything that there is of it.
func (m *VM) Name() string { return filepath.Base(m.dir) }

func (m *VM) path(name string) string { return filepath.Join(m.dir, name) }

// Run runs a command on the machine as root, with nothing of the test's environment. It returns the exit code, which for one that a
// signal ended is 128 and the signal's number, and everything that it printed, which may be 16 MiB.
func (m *VM) Run(ctx context.Context, argv ...string) (code int, out string) {
	m.t.Helper()
	code, out, err := m.exec(ctx, answerPatience, `"$@" 2>&1 </dev/null`, argv...) // the shell tells of signals
	require.NoError(m.t, err, "%v", argv)
	return code, out
}

// exec runs a script of the shell with its arguments.
func (m *VM) exec(ctx context.Context, patience time.Duration, script string, argv ...string) (code int, out string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code, out, err = m.agent.exec(ctx, script, argv...)
	if err != nil && !errors.Is(err, errUnfinished) {
		select {
		case <-m.boot.exited:
			err = fmt.Errorf("%w: %s", errGone, spoken(m.dir))
		case <-time.After(time.Second): // the connection ends a moment before the emulator does
		}
	}
	return code, out, err
}

// Do runs a command on the machine that must succeed, and returns what it printed.
func (m *VM) Do(argv ...string) string {
	m.t.Helper()
	code, out := m.Run(m.t.Context(), argv...)
	require.Zero(m.t, code, "%v: %s", argv, out)
	return out
}

// Put writes a file on the machine, and makes the directories above it.
func (m *VM) Put(path, content string, mode os.FileMode) {
	m.t.Helper()
	require.LessOrEqual(m.t, len(content), payloadSize, "%s is larger than the disk over which it gets there", path)
	payload, err := os.OpenFile(m.path("payload"), os.O_WRONLY, 0)
	require.NoError(m.t, err)
	defer payload.Close()
	_, err = payload.WriteAt([]byte(content), 0)
	require.NoError(m.t, err)
	// Not by way of the machine's cache: the disk may have had another content a moment ago.
	const script = `mkdir -p "$(dirname "$1")" && dd if=/dev/disk/by-id/virtio-payload iflag=direct bs=1M count="$3" of="$1" status=none && truncate -s "$2" "$1" && chmod "$4" "$1"`
	m.Do("sh", "-c", script, "sh", path, fmt.Sprint(len(content)), fmt.Sprint(len(content)>>20+1), fmt.Sprintf("%o", mode.Perm()))
}

// Get reads a file on the machine.
func (m *VM) Get(path string) string {
	m.t.Helper()
	content, err := m.agent.read(path)
	require.NoError(m.t, err, "%s", path)
	return content
}

// attempt is for RunTests.
func (m *VM) attempt(ctx context.Context, binary []byte, patience time.Duration, argv ...string) (code, output string, err error) {
	m.t.Helper()
	m.Do("rm", "-rf", insideDir)
	m.Put(insideDir+"/tests", string(binary), 0o755)
	argv = append([]string{insideDir, "env", insideVariable + "=" + emulated}, argv...)
	n, _, err := m.exec(ctx, patience, `cd "$1" && shift && "$@" >output 2>&1 </dev/null`, argv...)
	if err == nil || errors.Is(err, errUnfinished) {
		var readErr error
		output, readErr = m.agent.read(insideDir + "/output")
		err = errors.Join(err, readErr)
	}
	return fmt.Sprint(n), output, err
}
