package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// insideVariable is the environment variable that is set where tests run on a machine, and says on which.
const (
	insideVariable = "OPDBUS_TEST_MACHINE"
	nspawn         = "1"
	emulated       = "emulated"
)

// insideDir is where on the machine tests are, with what they print and their exit code.
const insideDir = "/root/tests"

// Inside tells whether the test runs on a machine, where RunTests has started it.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// A guest is what tests run on: a Machine or a VM.
type guest interface {
	// attempt runs a program with its arguments, and returns its exit code and what it printed. It is an errGone when the machine ended.
	attempt(ctx context.Context, binary []byte, patience time.Duration, argv ...string) (code, output string, err error)
}

// RunTests runs those tests of the calling package that match run, as go test(1) has it, on the machine as root, with Inside true. Each of
// them is a subtest of t, with what it printed. Nothing of the package's directory is there. Tests that have not ended when nine tenths
// of the time that t has are gone fail. What runs on a Machine may stop its bus, but neither it nor what runs on a VM may boot it anew.
func RunTests(t *testing.T, m guest, run string) {
	t.Helper()
	binary, err := tests()
	require.NoError(t, err, "cannot build the tests that run on the machine")
	patience := 10 * time.Minute
	if end, ok := t.Deadline(); ok {
		patience = time.Until(end) * 9 / 10
	}

	// The tests end themselves when they take too long, and tell where they hang, unless they cannot.
	code, output, err := m.attempt(t.Context(), binary, patience, "CI="+os.Getenv("CI"), insideDir+"/tests",
		"-test.v=test2json", "-test.run="+run, "-test.timeout="+(patience*8/9).String())
	results, rest, parseErr := results(t.Context(), output)
	require.NoError(t, parseErr, "%s", output)
	for _, r := range results {
		r.tell(t)
	}
	switch {
	case err != nil:
		t.Errorf("the tests on the machine have not ended: %v: %s", err, rest)
	case code != "0":
		t.Errorf("the tests on the machine exit with code %s: %s", code, rest)
	case len(results) == 0:
		t.Errorf("no test matches %s: %s", run, rest)
	}
}

// attempt is for RunTests. It is not waited for over the machine's bus, which may be what is tested.
func (m *Machine) attempt(ctx context.Context, binary []byte, patience time.Duration, argv ...string) (code, output string, err error) {
	m.t.Helper()
	m.Do("rm", "-rf", insideDir)
	m.Put(insideDir+"/tests", string(binary), 0o755)
	code, err = m.unattended(ctx, patience, insideDir, append([]string{"env", insideVariable + "=" + nspawn}, argv...)...)
	if !errors.Is(err, errGone) {
		output = m.Get(insideDir + "/output")
	}
	return code, output, err
}

var errGone = errors.New("the machine is gone")

// unattended runs a command that writes to DIR/output, and returns its exit code.
func (m *Machine) unattended(ctx context.Context, patience time.Duration, dir string, argv ...string) (code string, err error) {
	m.t.Helper()
	const script = `cd "$1"; shift; "$@" >output 2>&1 </dev/null; echo $? >code.new; mv code.new code`
	out, err := m.unit(ctx, nil, script, append([]string{dir}, argv...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot start them: %w: %s", err, out)
	}
	root := m.root()
	defer root.Close()
	path := strings.TrimPrefix(dir, "/") + "/code"
	for end := time.After(patience); ; {
		if _, err := root.Stat(path); err == nil {
			return strings.TrimSpace(m.Get(dir + "/code")), nil
		}
		select {
		case <-m.boot.exited:
			return "", errGone
		case <-end:
			return "", fmt.Errorf("they run for %s", patience.Round(time.Second))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
