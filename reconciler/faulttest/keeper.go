package faulttest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The files of a disk, in its directory: what it was first, what it is, its log, and the file it is served as.
const (
	baseFile   = "base.img"
	diskFile   = "disk.img"
	logFile    = "writes.log"
	exportFile = "export.img"
)

// What is said between a disk and its keeper, which is over when the disk's end of the pipe is closed: by the test when it
// ends, and by the kernel when the test's process does.
const (
	sayReady  = "ready\n"
	askClose  = "close\n"
	sayClosed = "closed\n"
)

// A keeper serves a disk, and clears away what is in its directory, mounts too. It outlives a test that panics, runs
// into its timeout or is killed.
type keeper struct {
	Dir string
}

func (k keeper) serve() error {
	runtime.LockOSThread() // Pdeathsig comes when the thread ends
	daemon, err := k.daemon()
	if err != nil {
		return errors.Join(err, k.clear())
	}
	fmt.Print(sayReady)
	for in := bufio.NewReader(os.Stdin); ; {
		line, err := in.ReadString('\n')
		if err == nil && line == askClose {
			if err := stop(daemon); err != nil {
				return errors.Join(err, k.clear())
			}
			daemon = nil
			fmt.Print(sayClosed)
			continue
		}
		if err != io.EOF {
			err = fmt.Errorf("cannot understand %q: %w", line, err)
		} else {
			err = nil
		}
		// Mounts first: they are what the daemon serves.
		return errors.Join(err, unmountBelow(k.Dir, func(kind string) bool { return kind != "fuse" }), stop(daemon), k.clear())
	}
}

// daemon starts the daemon, and returns when it serves the disk.
func (k keeper) daemon() (*exec.Cmd, error) {
	// The host's power is not what is cut: flushing to its disk would be for nothing.
	cmd := exec.Command("qemu-storage-daemon",
		"--blockdev", "driver=file,node-name=disk,cache.no-flush=on,discard=unmap,filename="+diskFile,
		"--blockdev", "driver=file,node-name=log,cache.no-flush=on,filename="+logFile,
		"--blockdev", "driver=blklogwrites,node-name=logged,discard=unmap,file=disk,log=log,log-sector-size=512,log-super-update-interval=1",
		"--export", "type=fuse,id=export,node-name=logged,writable=on,allow-other=off,mountpoint="+exportFile)
	var said strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = k.Dir, &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		var info unix.Siginfo
		_ = unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		close(exited)
	}()
	for timeout := time.After(time.Minute); ; {
		if mounts, err := mountsBelow(filepath.Join(k.Dir, exportFile)); err == nil && len(mounts) > 0 {
			return cmd, nil
		}
		select {
		case <-exited:
			err := cmd.Wait()
			return nil, fmt.Errorf("%w: %s", err, said.String())
		case <-timeout:
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return nil, fmt.Errorf("it is not ready after a minute: %s", said.String())
		case <-time.After(time.Millisecond):
		}
	}
}

// stop ends the daemon, which writes the log's end, or kills it.
func stop(daemon *exec.Cmd) error {
	if daemon == nil {
		return nil
	}
	killer := time.AfterFunc(20*time.Second, func() { _ = daemon.Process.Kill() })
	defer killer.Stop()
	if err := daemon.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop qemu-storage-daemon: %w", err)
	}
	if err := daemon.Wait(); err != nil {
		return fmt.Errorf("qemu-storage-daemon failed: %w: %s", err, daemon.Stderr)
	}
	return nil
}

// clear unmounts what is left and deletes the directory.
func (k keeper) clear() error {
	if err := unmountBelow(k.Dir, func(string) bool { return true }); err != nil {
		return err
	}
	left, err := mountsBelow(k.Dir)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("cannot delete %s: %v is still mounted", k.Dir, left)
	}
	return os.RemoveAll(k.Dir)
}

// A mounted is one line of mountinfo.
type mounted struct{ dir, kind string }

// mountsBelow are the mounts at a path and below it, in the order in which they were made.
func mountsBelow(path string) ([]mounted, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []mounted
	for line := range strings.Lines(string(text)) {
		mount, fs, _ := strings.Cut(line, " - ") // proc_pid_mountinfo(5)
		fields := strings.Fields(mount)
		if len(fields) < 5 {
			continue
		}
		dir := unescape.Replace(fields[4])
		if dir == path || strings.HasPrefix(dir, path+"/") {
			kind, _, _ := strings.Cut(fs, " ")
			found = append(found, mounted{dir, kind})
		}
	}
	return found, nil
}

// unmountBelow unmounts those of some file systems, even while something in them is open.
func unmountBelow(dir string, which func(kind string) bool) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if !which(m.kind) {
			continue
		}
		if unix.Unmount(m.dir, 0) != nil {
			if err := unix.Unmount(m.dir, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("cannot unmount %s: %w", m.dir, err)
			}
		}
	}
	return nil
}
