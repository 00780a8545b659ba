package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// version is that of the program under test.
const version = "1.2.3"

// built is the directory of the program that was built for the tests.
var built string

// program builds opdbus for the tests that run it under a filter or count what it does.
var program = sync.OnceValues(func() (path string, err error) {
	if built, err = os.MkdirTemp("", "opdbus-test-"); err != nil {
		return "", err
	}
	path = filepath.Join(built, "opdbus")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", path, "github.com/opdbus/opdbus").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// A world is a scratch root on a btrfs image that can be gone back to, and configurations beside it.
type world struct {
	*testing.T
	opdbus  string
	dir     string // of images and configurations
	root    string
	mounted bool
}

func newWorld(t *testing.T, mib int) *world {
	t.Helper()
	snapshottest.Need(t, "mkfs.btrfs", "mount", "umount")
	opdbus, err := program()
	require.NoError(t, err)
	w := &world{T: t, opdbus: opdbus, dir: t.TempDir()}
	w.root = filepath.Join(w.dir, "mnt", "root")
	require.NoError(t, os.Mkdir(filepath.Dir(w.root), 0o755))
	w.sh("truncate -s %dM image && mkfs.btrfs -q -m single image", mib)
	t.Cleanup(w.unmount)
	w.mount("image")
	require.NoError(t, os.MkdirAll(filepath.Join(w.root, "etc"), 0o755))
	return w
}

// fork is another world that begins as this one is; this one is unmounted for it.
func (w *world) fork(t *testing.T) *world {
	t.Helper()
	w.unmount()
	f := w.beside(t)
	f.sh("cp --sparse=always --reflink=auto %s image", filepath.Join(w.dir, "image"))
	f.mount("image")
	return f
}

// beside is another world with the same configurations, whose image is still to be made and mounted.
func (w *world) beside(t *testing.T) *world {
	t.Helper()
	f := &world{T: t, opdbus: w.opdbus, dir: t.TempDir()}
	f.root = filepath.Join(f.dir, "mnt", "root")
	require.NoError(t, os.Mkdir(filepath.Dir(f.root), 0o755))
	f.sh("mkdir configs && cp -a %s/. configs", filepath.Join(w.dir, "configs"))
	t.Cleanup(f.unmount)
	return f
}

func (w *world) mount(image string) {
	w.Helper()
	w.sh("mount -o loop %s mnt", image)
	w.mounted = true
}

func (w *world) unmount() {
	if w.mounted {
		// Another mount namespace that was made in the meantime, by a container say, may hold on to it: then it goes when that does.
		w.sh("sync -f mnt; for try in $(seq 20); do ! umount -R mnt 2>/dev/null || exit 0; sleep 0.1; done; umount -R -l mnt")
		w.mounted = false
	}
}

// sh runs a shell command in the world's directory.
func (w *world) sh(format string, args ...any) {
	w.Helper()
	cmd := exec.Command("sh", "-ec", fmt.Sprintf(format, args...))
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "ROOT="+w.root, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, "%s: %s", format, out)
}

// config writes files of a configuration: NAME, CONTENT, ….
func (w *world) config(config string, files ...string) {
	w.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(w.dir, "configs", config, files[i])
		require.NoError(w, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(w, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
}

// command is opdbus with its arguments, in the directory of the configurations.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.opdbus, append([]string{"--root", w.root}, args...)...)
	cmd.Dir = filepath.Join(w.dir, "configs")
	return cmd
}

// run runs opdbus and gives its exit code and all that it printed.
func (w *world) run(args ...string) (code int, out string) {
	w.Helper()
	b, err := w.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(w, err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(b)
}

// must runs opdbus, which has to succeed.
func (w *world) must(args ...string) string {
	w.Helper()
	code, out := w.run(args...)
	require.Zero(w, code, "%v: %s", args, out)
	return out
}

// state is the host and the store as one string: every path with its mode, owner, link, content and extended attributes, the
// snapshots' among them. What may differ between equal states is left out: the journals of runs that were taken back, which plans are held,
// caches, times, and the image that the store is in where it is in one.
func (w *world) state() string {
	w.Helper()
	var b strings.Builder
	store := filepath.Join(w.root, "var/lib/op-dbus/state")
	err := filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(store, "journal") || path == filepath.Join(store, "index") {
			return fs.SkipDir
		}
		if path == filepath.Join(store, "lock") || path == filepath.Join(store, "held.json") || path == filepath.Dir(store)+".btrfs" {
			return nil
		}
		line, err := describe(path)
		b.WriteString(strings.TrimPrefix(path, w.root) + " " + line + "\n")
		return err
	})
	require.NoError(w, err)
	return timeless(b.String())
}

// timeless takes the times out of the names of snapshots and of their records.
func timeless(s string) string {
	s = regexp.MustCompile(`-\d{8}-\d{6}(-\d+)?`).ReplaceAllString(s, "-TIME")
	return regexp.MustCompile(`\\"created\\":\\"[^"]*\\"`).ReplaceAllString(s, "CREATED")
}

func describe(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	line := fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		link, err := os.Readlink(path)
		return line + " -> " + link, err
	case unix.S_IFREG:
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %q", data)
	}
	names := make([]byte, 4096)
	n, err := unix.Listxattr(path, names)
	if err != nil && !errors.Is(err, syscall.ENOTSUP) {
		return "", err
	}
	for name := range bytes.SplitSeq(names[:max(n, 0)], []byte{0}) {
		if len(name) > 0 {
			value := make([]byte, 4096)
			m, err := unix.Getxattr(path, string(name), value)
			if err != nil {
				return "", err
			}
			line += fmt.Sprintf(" %s=%q", name, value[:m])
		}
	}
	return line, nil
}
