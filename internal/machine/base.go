package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// packages are what is installed on the machine besides the essential ones. This list is all there is to change.
func packages() []string {
	return []string{"systemd-sysv", "dbus", "libpam-systemd", "systemd-resolved", "polkitd", "apt", "packagekit", "packagekit-tools",
		"btrfs-progs", "busybox", "iproute2", "iputils-ping", "kmod", "login", "openvswitch-switch", "passwd", "procps", "qemu-guest-agent", "udev"}
}

//go:embed base.sh
var baseScript string

//go:embed repository.sh
var repositoryScript string

// patience is how long building the base may take: some two minutes on two processors that have nothing else to do.
const patience = 15 * time.Minute

// base is the image that machines are copies of, and how long it took to build it; zero when it was there already.
func base(ctx context.Context) (image string, cost time.Duration, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", 0, err
	}
	suite, err := suite()
	if err != nil {
		return "", 0, err
	}
	recipe := strings.Join(append(packages(), suite, runtime.GOARCH, baseScript, repositoryScript), "\n")
	dir = filepath.Join(dir, "opdbus")
	image = filepath.Join(dir, fmt.Sprintf("machine-%.8x.img", sha256.Sum256([]byte(recipe))))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", 0, err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "machine.lock"))
	if err != nil {
		return "", 0, err
	}
	defer unlock()
	if _, err := os.Stat(image); !errors.Is(err, fs.ErrNotExist) {
		return image, 0, errors.Join(err, used(image))
	}
	began := time.Now()
	if err := build(ctx, image, suite); err != nil {
		return "", 0, fmt.Errorf("cannot build the machine's base: %w", err)
	}
	return image, time.Since(began), discard(filepath.Join(dir, "machine-*.img"))
}

// suite is the codename of the host's release, whose packages the host knows where to get.
func suite() (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(release)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return name, nil
		}
	}
	return "", errors.New("the host is no Debian: /etc/os-release names no VERSION_CODENAME")
}

// unused is for how long what was built is kept that nobody uses: other branches have other recipes.
const unused = 7 * 24 * time.Hour

// used says that what was built is of use.
func used(path string) error {
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// discard removes what was built and has long not been of use.
func discard(pattern string) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > unused {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// tools are the programs that building a machine's base takes.
func tools() []string { return []string{"mmdebstrap", "mkfs.btrfs", "mount", "unshare", "cp", "tar"} }

// lock keeps others out that would build the same at the same time, such as the tests of another package.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("cannot lock %s, which somebody else has: %w", path, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build makes the image beside its place first: one that is there is whole.
func build(ctx context.Context, image, suite string) error {
	unfinished := image + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(unfinished)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := script(ctx, baseScript, "base.sh", unfinished, suite, strings.Join(packages(), ","), repositoryScript); err != nil {
		return err
	}
	return os.Rename(unfinished, image)
}

// NetworkVariable is the environment variable that names the network namespace from which packages are to be had, as a path, where tests run
// in one of their own.
const NetworkVariable = "OPDBUS_TEST_NETWORK"

// online is a command that has the host's network.
func online(ctx context.Context, argv ...string) *exec.Cmd {
	if at := os.Getenv(NetworkVariable); at != "" {
		argv = append([]string{"nsenter", "--net=" + at}, argv...)
	}
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

// script runs a script of the shell with its arguments, in mounts and processes of its own, which end with this process.
func script(ctx context.Context, text, name string, args ...string) error {
	cmd := online(ctx, append([]string{"unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
		"sh", "-c", text, name}, args...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig comes when the thread ends
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}
