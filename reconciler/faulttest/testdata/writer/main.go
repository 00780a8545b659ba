// Command writer is what the tests of faulttest break: each of its jobs does something known to the directory it is run in.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := jobs()[os.Args[1]](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func jobs() map[string]func() error {
	return map[string]func() error{
		"kinds": kinds, "locked": locked, "parallel": parallel, "signals": signals, "children": children, "daemon": daemon,
		"write": write, "pwrite": pwrite, "writev": writev, "sendfile": sendfile, "copy": copyFile,
	}
}

// kinds makes calls of many kinds, and some that only read.
func kinds() error {
	f, err := os.OpenFile("a", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fd := int(f.Fd())
	reads := func() error {
		if _, err := os.ReadFile("a"); err != nil {
			return err
		}
		_, _ = unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
		_, err := unix.Openat2(unix.AT_FDCWD, "a", &unix.OpenHow{})
		return err
	}
	for _, do := range []func() error{
		reads,
		func() error { _, err := f.WriteString("content"); return err },
		func() error { return f.Sync() },
		func() error { return os.Mkdir("dir", 0o700) },
		func() error { return os.Rename("a", "dir/b") },
		func() error { return os.Symlink("dir/b", "link") },
		func() error { return os.Link("dir/b", "dir/c") },
		func() error {
			return unix.Renameat2(unix.AT_FDCWD, "link", unix.AT_FDCWD, "dir/c", unix.RENAME_EXCHANGE)
		},
		func() error { return os.Chmod("dir", 0o755) },
		func() error { return unix.Setxattr("dir", "user.x", []byte("y"), 0) },
		func() error {
			_, err := unix.Openat2(unix.AT_FDCWD, "new", &unix.OpenHow{Flags: unix.O_CREAT})
			return err
		},
		func() error { return os.Remove("dir/b") },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// locked takes a lock between two directories, and then makes ten.
func locked() error {
	if err := os.Mkdir("before", 0o700); err != nil {
		return err
	}
	lock, err := os.Create("lock")
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	for i := range 10 {
		if err := os.Mkdir(fmt.Sprintf("d%d", i), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// parallel has goroutines replace files side by side, and the runtime as busy as it can be.
func parallel() error {
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for g := range 8 {
		wg.Go(func() {
			for i := range 5 {
				name := fmt.Sprintf("g%d-%d", g, i)
				if err := os.WriteFile(name+".new", []byte(name), 0o600); err != nil {
					failed <- err
					return
				}
				if err := os.Rename(name+".new", name); err != nil {
					failed <- err
					return
				}
				time.Sleep(time.Millisecond)
				r, w, err := os.Pipe()
				if err != nil {
					failed <- err
					return
				}
				go func() { _, _ = io.WriteString(w, strings.Repeat("x", 1<<16)); _ = w.Close() }()
				_, _ = io.Copy(io.Discard, r)
				runtime.GC()
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// signals makes 200 directories under a hail of the signal by which the runtime preempts.
func signals() error {
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = syscall.Kill(os.Getpid(), syscall.SIGURG)
				time.Sleep(20 * time.Microsecond)
			}
		}
	}()
	defer close(stop)
	runtime.LockOSThread()
	for i := range 200 {
		// Raw, so that nothing makes it anew when it fails with EINTR.
		if err := unix.Mkdir(fmt.Sprintf("d%d", i), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// children has programs make a directory each.
func children() error {
	for _, name := range []string{"one", "two", "three"} {
		if err := exec.Command("mkdir", name).Run(); err != nil {
			return err
		}
	}
	return nil
}

// daemon leaves a child in the group that makes a directory as soon as there is a file "go", and one that has left the
// group and does the same; then it makes a directory itself.
func daemon() error {
	for _, name := range []string{"group", "session"} {
		// The first open is a call that the filter sees.
		cmd := exec.Command("sh", "-c", ": > "+name+".started; while [ ! -e go ]; do sleep 0.01; done; mkdir "+name+"; sleep 1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: name == "session"}
		if err := cmd.Start(); err != nil {
			return err
		}
		for {
			if _, err := os.Stat(name + ".started"); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return os.Mkdir("main", 0o700)
}

const text = "0123456789"

func write() error { return os.WriteFile("out", []byte(text), 0o600) }

func pwrite() error {
	f, err := os.Create("out")
	if err != nil {
		return err
	}
	if _, err := f.WriteString("ab"); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 2)
	return err
}

// writev and the two below report how much their one call says that it wrote.
func writev() error {
	f, err := os.Create("out")
	if err != nil {
		return err
	}
	n, err := unix.Writev(int(f.Fd()), [][]byte{[]byte(text[:3]), nil, []byte(text[3:])})
	fmt.Println(n)
	return err
}

func sendfile() error {
	return transfer(func(out, in int) (int, error) { return unix.Sendfile(out, in, nil, 1<<20) })
}

func copyFile() error {
	return transfer(func(out, in int) (int, error) { return unix.CopyFileRange(in, nil, out, nil, 1<<20, 0) })
}

func transfer(do func(out, in int) (int, error)) error {
	if err := write(); err != nil {
		return err
	}
	if err := os.Rename("out", "in"); err != nil {
		return err
	}
	in, err := os.Open("in")
	if err != nil {
		return err
	}
	out, err := os.Create("out")
	if err != nil {
		return err
	}
	n, err := do(int(out.Fd()), int(in.Fd()))
	fmt.Println(n)
	return err
}
