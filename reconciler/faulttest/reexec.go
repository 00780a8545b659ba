package faulttest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// role is the environment variable that says what a process of the test's binary is to be: a test, or one of the jobs
// that need a process of their own.
const role = "OPDBUS_FAULTTEST"

const (
	roleTest   = "test"
	roleShim   = "shim "   // and a shim as JSON: puts itself under the filter and becomes the command
	roleKeeper = "keeper " // and a keeper as JSON: serves a disk and clears it away when the test is gone
)

// Reexec is called first in the TestMain of each package that uses Run or NewDisk. In a process that these started from
// the test's own binary it does that process's work and does not return.
func Reexec() {
	what := os.Getenv(role)
	if spec, ok := strings.CutPrefix(what, roleShim); ok {
		play(spec, shim.become)
	}
	if spec, ok := strings.CutPrefix(what, roleKeeper); ok {
		play(spec, keeper.serve)
	}
	if err := os.Setenv(role, roleTest); err != nil {
		panic(err)
	}
}

func play[T any](spec string, work func(T) error) {
	var as T
	err := json.Unmarshal([]byte(spec), &as)
	if err == nil {
		err = work(as)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	os.Exit(0)
}

// reexecuted fails a test that did not call Reexec: what it would start is all its tests again.
func reexecuted(t testing.TB) {
	t.Helper()
	if os.Getenv(role) != roleTest {
		t.Fatal("this package's TestMain does not call faulttest.Reexec")
	}
}

// environment is the variable that makes a process of the test's binary take a role.
func environment(as string, spec any) (string, error) {
	text, err := json.Marshal(spec)
	return fmt.Sprintf("%s=%s%s", role, as, text), err
}
