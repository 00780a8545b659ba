package machine

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed vm.sh
var vmScript string

//go:embed init.sh
var initScript string

//go:embed emulate.sh
var emulateScript string

// kernelPackage depends on the package of the kernel that emulated machines run: the release's one for virtual machines, which has all
// that is a module and no drivers of hardware that they do not have.
const kernelPackage = "linux-image-cloud-amd64"

// vmPatience is how long a machine whose processor is emulated may take to boot, which is some twenty seconds on two processors.
const vmPatience = 5 * time.Minute

// vmBase is the directory of what emulated machines are copies of, and how long it took to make it; zero when it was there already. It
// holds the kernel, its initrd, the disk, and what a machine that has booted from them has changed on the disk, with its memory. Whoever
// calls it has the lock.
func vmBase(ctx context.Context, image string) (dir string, cost time.Duration, err error) {
	version, err := exec.CommandContext(ctx, "qemu-system-x86_64", "--version").Output() // no other can load the memory
	if err != nil {
		return "", 0, fmt.Errorf("qemu-system-x86_64: %w", err)
	}
	recipe := strings.Join(append(hardware(), filepath.Base(image), kernelPackage, vmScript, initScript, string(version)), "\n")
	dir = filepath.Join(filepath.Dir(image), fmt.Sprintf("%s%.8x", vmPrefix, sha256.Sum256([]byte(recipe))))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, 0, errors.Join(err, used(dir))
	}
	began := time.Now()
	if err := buildVM(ctx, image, dir); err != nil {
		return "", 0, fmt.Errorf("cannot build the emulated machine's base: %w", err)
	}
	return dir, time.Since(began), discard(filepath.Join(filepath.Dir(dir), vmPrefix+"*"))
}

// vmPrefix begins the names of the directories with what emulated machines are copies of.
const vmPrefix = "emulated-"

// buildVM makes the directory beside its place first: one that is there is whole.
func buildVM(ctx context.Context, image, dir string) error {
	unfinished := dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := script(ctx, vmScript, "vm.sh", unfinished, image, kernelPackage, initScript); err != nil {
		return err
	}
	if err := takeSnapshot(ctx, unfinished); err != nil {
		return fmt.Errorf("%w: %s", err, spoken(unfinished))
	}
	for _, name := range []string{"payload", "agent", "monitor", "emulator", "console"} {
		if err := os.Remove(filepath.Join(unfinished, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(unfinished, dir)
}

// takeSnapshot boots a machine from what is in dir, and leaves there its disk.qcow2 with the snapshot.
func takeSnapshot(ctx context.Context, dir string) error {
	create := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.img", "disk.qcow2")
	create.Dir = dir
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("qemu-img: %w: %s", err, out)
	}
	b, err := emulate(dir, dir, nil)
	if err != nil {
		return err
	}
	defer func() {
		_ = b.cmd.Process.Kill()
		<-b.exited
	}()
	agent, err := reach(filepath.Join(dir, "agent"), b, vmPatience)
	if err != nil {
		return err
	}
	defer agent.conn.Close()
	const settle = "state=`systemctl is-system-running --wait` && sync || { echo $state; systemctl --failed --no-legend; exit 1; }"
	switch code, out, err := agent.exec(ctx, settle); {
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("not all of it has started: %s", out)
	}
	monitor, err := dial(filepath.Join(dir, "monitor"))
	if err != nil {
		return err
	}
	defer monitor.conn.Close()
	if err := monitor.call("qmp_capabilities", map[string]any{}, nil); err != nil {
		return err
	}
	said := ""
	if err := monitor.call("human-monitor-command", map[string]any{"command-line": "savevm " + snapshotName}, &said); err != nil {
		return err
	}
	if said != "" {
		return fmt.Errorf("savevm: %s", said)
	}
	if err := monitor.call("quit", map[string]any{}, nil); err != nil {
		return err
	}
	<-b.exited
	return nil
}
