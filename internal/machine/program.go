package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/stretchr/testify/require"
)

// Opdbus installs opdbus as it is shipped, one static file. It is built once a process.
func (m *Machine) Opdbus() {
	m.t.Helper()
	program, err := opdbus()
	require.NoError(m.t, err, "cannot build opdbus")
	m.Put("/usr/local/bin/opdbus", string(program), 0o755)
}

// Opdbus installs opdbus as it is shipped, one static file. It is built once a process.
func (m *VM) Opdbus() {
	m.t.Helper()
	program, err := opdbus()
	require.NoError(m.t, err, "cannot build opdbus")
	m.Put("/usr/local/bin/opdbus", string(program), 0o755)
}

var opdbus = sync.OnceValues(func() ([]byte, error) {
	return goBuild("CGO_ENABLED=1", "build", "-tags", "osusergo netgo", "-ldflags", "-extldflags=-static", "github.com/opdbus/opdbus")
})

// tests are those of the package whose tests this process runs, which go test(1) has in the package's directory. They are built anew: what
// runs may be linked with what the machine does not have, as with -race.
var tests = sync.OnceValues(func() ([]byte, error) {
	return goBuild("CGO_ENABLED=0", "test", "-c", "-race=false", ".")
})

// goBuild is what a go command builds.
func goBuild(cgo, command string, args ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "opdbus-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "built")
	cmd := online(context.Background(), append([]string{"go", command, "-o", path}, args...)...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", command, err, out)
	}
	return os.ReadFile(path)
}
