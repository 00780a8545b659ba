package machine

import (
	"bytes"
	_ "embed"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed guard.sh
var guardScript string

// guard starts what removes a machine, and has the test wait for it when it ends. The areas are the beginning of the paths of the machine's
// cgroups, one in each hierarchy.
func guard(t testing.TB, dir string, areas []string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("sh", append([]string{"-c", guardScript, "guard.sh", dir}, areas...)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C ends the test, and that ends the guard
	testIsThere, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = testIsThere.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("cannot remove the machine in %s: %v: %s", dir, err, said.String())
		}
	})
}

// host runs a command on the host.
func host(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}
