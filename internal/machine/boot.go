package machine

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed boot.sh
var bootScript string

// How long booting and shutting down may take: a second or two where nothing else is going on.
const (
	bootPatience = 2 * time.Minute
	downPatience = 2 * time.Minute
)

// A boot is the time from a machine's start to its end.
type boot struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // why it exited; there when exited is closed
	leader int   // PID 1 of the machine, as the host counts
}

// start boots the machine's disk, and returns when systemd says that it has started all it was to start.
func (m *Machine) start() error {
	m.boots++
	args := []string{m.path("boot.sh"), m.Name(), m.path("image")}
	for _, area := range m.areas {
		args = append(args, fmt.Sprintf("%s.%d", area, m.boots))
	}
	// Linux has 108 bytes for a socket's path.
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path("notify" + strconv.Itoa(m.boots)), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer notify.Close()
	console, err := os.Create(m.path("console"))
	if err != nil {
		return err
	}
	defer console.Close()
	b := &boot{cmd: exec.Command("sh", args...), exited: make(chan struct{})}
	b.cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "NOTIFY_SOCKET="+notify.LocalAddr().String())
	b.cmd.Stdout, b.cmd.Stderr = console, console
	if err := b.run(); err != nil {
		return err
	}
	m.boot = b
	go func() {
		<-b.exited
		_ = notify.Close()
	}()
	if err := ready(notify); err != nil {
		m.kill()
		said, _ := os.ReadFile(console.Name())
		return fmt.Errorf("a machine does not boot: %w: %s", errors.Join(err, b.err), said)
	}
	b.leader = child(child(b.cmd.Process.Pid))
	if b.leader == 0 {
		m.kill()
		return errors.New("a machine has booted that has no PID 1")
	}
	return nil
}

// run starts the process in a thread of its own and waits for it there: should this program be killed, so is the machine, and the
// signal comes when the thread ends.
func (b *boot) run() error {
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := b.cmd.Start()
		started <- err
		if err == nil {
			b.err = b.cmd.Wait()
			close(b.exited)
		}
	}()
	return <-started
}

// ready waits for systemd's word (sd_notify(3)).
func ready(notify *net.UnixConn) error {
	if err := notify.SetReadDeadline(time.Now().Add(bootPatience)); err != nil {
		return err
	}
	for message := make([]byte, 4096); ; {
		n, err := notify.Read(message)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(message[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// child is a process's first child, 0 when it has none.
func child(pid int) int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	first, _, _ := strings.Cut(string(children), " ")
	if n, convErr := strconv.Atoi(first); err == nil && convErr == nil {
		return n
	}
	return 0
}

// kill ends every process of the machine at once, and waits until its disk is free.
func (m *Machine) kill() {
	_ = m.boot.cmd.Process.Kill()
	<-m.boot.exited
	m.released()
}

// released waits until the kernel has let go of the disk, which it does a little after the last process is gone.
func (m *Machine) released() {
	m.t.Helper()
	for end := time.Now().Add(downPatience); m.loop() != ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("the machine %s is gone and its disk is still in use", m.Name())
		}
	}
}

// loop is the device that the machine's disk is; empty when it does not run.
func (m *Machine) loop() string {
	devices, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, d := range devices {
		if file, err := os.ReadFile(d); err == nil && strings.TrimSpace(string(file)) == m.path("image") {
			return "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(d)))
		}
	}
	return ""
}

// hierarchies are the directories of the host's cgroups: one where it has cgroup2 alone.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ") // proc_pid_mountinfo(5)
		fields, super := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(super) < 3 || !strings.HasPrefix(super[0], "cgroup") {
			continue
		}
		// No process can be in a new cgroup of cpuset before it has been given processors, and systemd does not use it.
		if dir := fields[4]; strings.HasPrefix(dir, "/sys/fs/cgroup") && !strings.Contains(super[2], "cpuset") {
			if err := unix.Access(dir, unix.W_OK); err != nil {
				return nil, fmt.Errorf("cannot make cgroups in %s: %w", dir, err)
			}
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("no cgroups are mounted below /sys/fs/cgroup")
	}
	return dirs, nil
}
