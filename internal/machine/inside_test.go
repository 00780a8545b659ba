package machine_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/internal/machine"
)

// onMachine skips a test that is one of those that run on the machine, when it is not there.
func onMachine(t *testing.T) {
	t.Helper()
	if !machine.Inside() {
		t.Skip("runs on the machine, by another test")
	}
}

func TestOnMachine(t *testing.T) {
	onMachine(t)
	t.Run("runs as root, below systemd", func(t *testing.T) {
		assert.Zero(t, os.Getuid())
		first, err := os.ReadFile("/proc/1/comm")
		require.NoError(t, err)
		assert.Equal(t, "systemd\n", string(first))
	})
	t.Run("has sessions of users", func(t *testing.T) {
		require.NoError(t, exec.Command("useradd", "--create-home", "bob").Run())
		id, end := machine.Session(t, "bob")
		name, err := exec.Command("loginctl", "show-session", id, "--property=Name", "--value").Output()
		require.NoError(t, err)
		assert.Equal(t, "bob\n", string(name))
		end()
		assert.Error(t, exec.Command("loginctl", "show-session", id).Run())
	})
	t.Run("may stop the bus", func(t *testing.T) {
		require.NoError(t, exec.Command("systemctl", "kill", "--signal=KILL", "dbus.service").Run())
	})
}

func TestOnMachineThatFails(t *testing.T) {
	onMachine(t)
	t.Run("a/b", func(t *testing.T) {
		t.Run("fails", func(t *testing.T) { assert.Fail(t, "failed on purpose") })
		t.Run("goes on", func(t *testing.T) { t.Skip("skipped on purpose") })
	})
}

func TestOnMachineThatHangs(t *testing.T) {
	onMachine(t)
	t.Log("hangs on purpose")
	select {}
}

// TestOutside has another process run tests on a machine that fail: itself, started once more with forOther set.
func TestOutside(t *testing.T) {
	const forOther = "OPDBUS_MACHINE_TEST_OUTSIDE"
	if os.Getenv(forOther) != "" {
		m := machine.New(t)
		machine.RunTests(t, m, "^TestOnMachineThatIsNot$")
		machine.RunTests(t, m, "^TestOnMachineThat(Fails|Hangs)$")
		return
	}
	t.Parallel()
	machine.New(t) // says why where there can be none, and builds the base, for which the other process has no time
	other := exec.Command(os.Args[0], "-test.run=^TestOutside$", "-test.v", "-test.timeout=60s")
	other.Env = append(os.Environ(), forOther+"=1")
	out, err := other.CombinedOutput()
	said := string(out)

	t.Run("a test that fails on the machine fails", func(t *testing.T) {
		require.Error(t, err, said)
		assert.Contains(t, said, "    --- FAIL: TestOutside/TestOnMachineThatFails (")
		assert.Contains(t, said, "            --- FAIL: TestOutside/TestOnMachineThatFails/a/b/fails (")
		assert.Contains(t, said, "failed on purpose")
		assert.Contains(t, said, "            --- SKIP: TestOutside/TestOnMachineThatFails/a/b/goes_on (")
		assert.Contains(t, said, "skipped on purpose")
	})

	t.Run("a test that hangs on the machine fails, with what it printed until then", func(t *testing.T) {
		assert.Contains(t, said, "    --- FAIL: TestOutside/TestOnMachineThatHangs (")
		assert.Contains(t, said, "hangs on purpose")
		assert.Contains(t, said, "inside_test.go")
		assert.Contains(t, said, "test timed out")
	})

	t.Run("no test at all is a failure", func(t *testing.T) {
		assert.Contains(t, said, "no test matches ^TestOnMachineThatIsNot$")
	})
}
