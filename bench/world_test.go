// Package bench measures opdbus against plain loops that do the same to the host, and prints the ratios. Everything runs on a
// btrfs image of its own; the program is run as users run it, start-up included.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// binary builds the program once for all benchmarks.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "opdbus-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "opdbus")
	out, err := exec.Command("go", "build", "-o", path, "..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// A world is a btrfs image with a scratch root and a configuration.
type world struct {
	testing.TB
	opdbus            string
	dir, root, config string
}

func newWorld(b testing.TB) *world {
	b.Helper()
	opdbus, err := binary()
	require.NoError(b, err)
	dir := snapshottest.Mount(b, 4096)
	w := &world{TB: b, opdbus: opdbus, dir: dir, root: filepath.Join(dir, "root"), config: filepath.Join(dir, "config")}
	require.NoError(b, os.MkdirAll(w.root, 0o755))
	require.NoError(b, os.MkdirAll(filepath.Join(w.config, "files"), 0o755))
	w.run("init")
	return w
}

// A usage is what a run of the program took.
type usage struct {
	wall time.Duration
	mib  float64 // the most memory it had at once
}

// run runs the program and fails the benchmark when it fails.
func (w *world) run(args ...string) usage {
	w.Helper()
	cmd := exec.Command(w.opdbus, append([]string{"--root", w.root}, args...)...)
	cmd.Dir = w.config
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	text := out.String()
	require.NoError(w, err, "%s", text[:min(len(text), 2000)])
	if args[0] == "plan" {
		require.Contains(w, text, "No changes.")
	}
	return usage{wall, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024}
}

func name(i int) string { return fmt.Sprintf("f%06d.conf", i) }

// payload makes n small files to be linked.
func (w *world) payload(n int) {
	w.Helper()
	for i := range n {
		require.NoError(w, os.WriteFile(filepath.Join(w.config, "files", name(i)), fmt.Appendf(nil, "value = %d\n", i), 0o644))
	}
}

// dynamic declares a link to each payload file by one block.
func (w *world) dynamic() {
	w.Helper()
	w.write(`stage "bench" {
  source = "files"
  dynamic "file" {
    for_each = fileset("files", "*")
    labels   = [file.value]
    content {
      target = "/etc/bench/${file.value}"
    }
  }
}
`)
}

// literal declares each of n links by a block of its own, and returns the text.
func (w *world) literal(n int) string {
	w.Helper()
	var b strings.Builder
	b.WriteString("stage \"bench\" {\n  source = \"files\"\n")
	for i := range n {
		fmt.Fprintf(&b, "  file %q {\n    target = \"/etc/bench/%s\"\n    type   = \"symlink\"\n  }\n", name(i), name(i))
	}
	b.WriteString("}\n")
	w.write(b.String())
	return b.String()
}

func (w *world) write(text string) {
	w.Helper()
	require.NoError(w, os.WriteFile(filepath.Join(w.config, "main.hcl"), []byte(text), 0o644))
}

// read is the loop that a plan is measured against: what stands at each link.
func (w *world) read(n int) time.Duration {
	w.Helper()
	start := time.Now()
	for i := range n {
		path := filepath.Join(w.root, "etc/bench", name(i))
		if _, err := os.Lstat(path); err != nil {
			w.Fatal(err)
		}
		if _, err := os.Readlink(path); err != nil {
			w.Fatal(err)
		}
	}
	return time.Since(start)
}

// link is the loop that an apply is measured against: each link made under another name and renamed to its own.
func (w *world) link(n int) time.Duration {
	w.Helper()
	dir := filepath.Join(w.dir, "loop")
	require.NoError(w, os.MkdirAll(dir, 0o755))
	defer os.RemoveAll(dir)
	start := time.Now()
	for i := range n {
		path := filepath.Join(dir, name(i))
		if err := os.Symlink("/var/lib/op-dbus/staging/bench/"+name(i), path+".new"); err != nil {
			w.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			w.Fatal(err)
		}
	}
	return time.Since(start)
}

// best runs f a few times and keeps the fastest, as noise only ever adds.
func best(times int, f func() time.Duration) time.Duration {
	fastest := f()
	for range times - 1 {
		fastest = min(fastest, f())
	}
	return fastest
}
