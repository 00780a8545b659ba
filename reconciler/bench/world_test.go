// Package bench measures opdbus against plain loops that do the same to the host, and prints the ratios. Everything runs on a
// btrfs image of its own; the program is run as users run it, start-up included.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclparse"
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
	out, err := exec.Command("go", "build", "-o", path, "github.com/opdbus/opdbus").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// parseEnv names a directory for this test's own program to parse and to print how long that took: what parsing costs is
// measured in a process as new as the one it is compared with.
const parseEnv = "OPDBUS_BENCH_PARSE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parseEnv); dir != "" {
		fmt.Println(int64(parse(dir)))
		return
	}
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
	w.files("files", 0, n)
}

func (w *world) files(dir string, from, to int) {
	w.Helper()
	require.NoError(w, os.MkdirAll(filepath.Join(w.config, dir), 0o755))
	for i := from; i < to; i++ {
		require.NoError(w, os.WriteFile(filepath.Join(w.config, dir, name(i)), fmt.Appendf(nil, "value = %d\n", i), 0o644))
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

// literal declares each of n links to files by a block of its own, in so many stages with a file of blocks each.
func (w *world) literal(n, stages int) {
	w.Helper()
	for f := range stages {
		from, to := f*n/stages, (f+1)*n/stages
		w.files(fmt.Sprintf("files-%d", f), from, to)
		var b strings.Builder
		fmt.Fprintf(&b, "stage \"bench-%d\" {\n  source = \"files-%d\"\n", f, f)
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "  file %q {\n    target = \"/etc/bench/%s\"\n    type   = \"symlink\"\n  }\n", name(i), name(i))
		}
		b.WriteString("}\n")
		require.NoError(w, os.WriteFile(filepath.Join(w.config, fmt.Sprintf("bench-%d.hcl", f)), []byte(b.String()), 0o644))
	}
}

// parse is how long hclparse alone takes for the configuration.
func (w *world) parse() time.Duration {
	w.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parseEnv+"="+w.config)
	out, err := cmd.Output()
	require.NoError(w, err)
	took, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	require.NoError(w, err)
	return time.Duration(took)
}

// parse parses the configuration in dir, file after file.
func parse(dir string) time.Duration {
	files, err := filepath.Glob(filepath.Join(dir, "*.hcl"))
	if err != nil {
		panic(err)
	}
	start := time.Now()
	for _, file := range files {
		if _, diags := hclparse.NewParser().ParseHCLFile(file); diags.HasErrors() {
			panic(diags)
		}
	}
	return time.Since(start)
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
