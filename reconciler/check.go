package reconciler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/opdbus/opdbus/state"
)

// retryPause is how long a check waits before it is tried again.
const retryPause = time.Second

// checks runs a node's health and verify checks; the first that fails fails the node.
func (run *run) checks(ctx context.Context, np *state.NodePlan) error {
	if np.Delete {
		return nil
	}
	for _, c := range append(append([]state.Check(nil), np.Health...), np.Verify...) {
		err := run.Check(ctx, c)
		if ctx.Err() != nil {
			return errStopped
		}
		if err != nil {
			return &CheckError{np.Addr, c.Name, err}
		}
	}
	return nil
}

// Check runs one check, as often as it may be retried.
func (r *Reconciler) Check(ctx context.Context, c state.Check) error {
	for try := 0; ; try++ {
		err := r.tryCheck(ctx, c)
		if err == nil || try >= c.Retries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

func (r *Reconciler) tryCheck(ctx context.Context, c state.Check) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	switch {
	case len(c.Command) > 0:
		return r.checkCommand(ctx, c)
	case c.TCP != "":
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.TCP)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if c.Unit != "" {
		return r.checkUnit(ctx, c)
	}
	return r.checkProperty(ctx, c)
}

// checkCommand runs the command and compares how it ends.
func (r *Reconciler) checkCommand(ctx context.Context, c state.Check) error {
	var out bytes.Buffer
	cmd, err := r.start(ctx, c.Command, &out)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", strings.Join(c.Command, " "), err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("%s did not end within %s%s", strings.Join(c.Command, " "), c.Timeout, tail(out.Bytes()))
	case err != nil && !errors.As(err, &exit):
		return fmt.Errorf("cannot run %s: %w", strings.Join(c.Command, " "), err)
	case cmd.ProcessState.ExitCode() != c.ExpectExit:
		return fmt.Errorf("%s ended with %s instead of exit status %d%s", strings.Join(c.Command, " "), cmd.ProcessState, c.ExpectExit, tail(out.Bytes()))
	}
	return nil
}

// start starts a command on the host that is looked after. With a root that is the root itself (chroot) as far as it can run
// the command. A root that is still being filled, or is of another kind, cannot: then the root's program is run from here,
// or this host's where the root has none, with OPDBUS_ROOT telling it where to look.
func (r *Reconciler) start(ctx context.Context, argv []string, out io.Writer) (*exec.Cmd, error) {
	if r.Host.Root == "" {
		cmd := command(ctx, argv, out)
		return cmd, cmd.Start()
	}
	inside, err := r.lookUp(argv[0])
	if err != nil {
		return nil, err
	}
	if inside != "" {
		cmd := command(ctx, argv, out)
		cmd.Path, cmd.Err = inside, nil
		cmd.SysProcAttr.Chroot = r.Host.Root
		if err := cmd.Start(); !errors.Is(err, fs.ErrNotExist) {
			return cmd, err
		}
	}
	cmd := command(ctx, argv, out)
	cmd.Env = append(os.Environ(), "OPDBUS_ROOT="+r.Host.Root)
	if inside != "" {
		path, err := securejoin.SecureJoin(r.Host.Root, inside)
		if err != nil {
			return nil, err
		}
		cmd.Path, cmd.Err = path, nil
	}
	return cmd, cmd.Start()
}

// lookUp finds a program inside the root, as seen from there; empty when it is not there.
func (r *Reconciler) lookUp(program string) (string, error) {
	candidates := []string{program}
	if !strings.Contains(program, "/") {
		candidates = nil
		for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
			candidates = append(candidates, filepath.Join(dir, program))
		}
	}
	for _, c := range candidates {
		path, err := securejoin.SecureJoin(r.Host.Root, c)
		if err != nil {
			return "", err
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return c, nil
		}
	}
	return "", nil
}

// command makes a command whose descendants end with it, so that a hung grandchild does not keep its output open.
func command(ctx context.Context, argv []string, out io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// tail is the end of a command's output, for an error.
func tail(out []byte) string {
	const most = 5
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return ":\n" + strings.Join(lines[max(0, len(lines)-most):], "\n")
}
