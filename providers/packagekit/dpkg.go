package packagekit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dpkgDir is where dpkg keeps its records. Where there is none, packages are not dpkg's.
const dpkgDir = "/var/lib/dpkg"

// dpkg is what dpkg itself knows. PackageKit says of a package that is half configured that it is available, like of one that is not there.
type dpkg struct{ dir string }

// unfinished are the packages that are neither installed nor removed, with their states in dpkg's words. Later records replace
// earlier ones: the status file, then the journal of what was done since that was written.
func (d dpkg) unfinished() (map[string]string, error) {
	journal, err := d.journal()
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, file := range append([]string{filepath.Join(d.dir, "status")}, journal...) {
		if err := readStates(file, states); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot read the state of packages: %w", err)
		}
	}
	return states, nil
}

// journal are the files in which dpkg has written down what it did since it wrote its status file. There are some while it works, and
// after it was cut off.
func (d dpkg) journal() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "updates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read dpkg's journal: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") == "" {
			files = append(files, filepath.Join(d.dir, "updates", e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// readStates notes the states of the packages of one file that are unfinished, and forgets those that are not.
func readStates(file string, states map[string]string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	name := ""
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20) // a field is a line, and some are long
	for in.Scan() {
		line := in.Text()
		if n, ok := strings.CutPrefix(line, "Package: "); ok {
			name = n
		}
		status, ok := strings.CutPrefix(line, "Status: ")
		if !ok {
			continue
		}
		switch words := strings.Fields(status); {
		case len(words) != 3:
		case words[1] == "ok" && slices.Contains([]string{"installed", "config-files", "not-installed"}, words[2]):
			delete(states, name)
		default:
			states[name] = words[2]
		}
	}
	return in.Err()
}

// A lockedError says that a process works on dpkg's records.
type lockedError struct {
	process string
	// others says that it is not one of PackageKit's, and does nothing that opdbus has asked for.
	others bool
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("the package system is locked: %s works on dpkg's records. Wait until it has ended, and try again", e.process)
}

// The locks of dpkg: who has dpkg run for it holds the first all the time, and dpkg the second while it runs.
const (
	frontendLock = "lock-frontend"
	dpkgLock     = "lock"
)

// user is the process that works on dpkg's records now, which holds a lock (fcntl(2)); nil when nobody does.
func (d dpkg) user(lock string) *lockedError {
	f, err := os.Open(filepath.Join(d.dir, lock))
	if err != nil {
		return nil
	}
	defer f.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &held); err != nil || held.Type == unix.F_UNLCK {
		return nil
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", held.Pid))
	// A dpkg that PackageKit has started stays in the cgroup of its unit, also when PackageKit itself was killed.
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", held.Pid))
	return &lockedError{fmt.Sprintf("process %d (%s)", held.Pid, strings.TrimSpace(string(name))), err == nil && !strings.Contains(string(group), "packagekit")}
}

// patience is how long somebody else may work on dpkg's records until that is an error; PackageKit's own is the same.
const patience = 10 * time.Second

// rest waits until nobody holds any of these locks.
func (d dpkg) rest(ctx context.Context, locks ...string) error {
	for end := time.After(patience); ; {
		var user *lockedError
		for _, lock := range locks {
			user = cmp.Or(user, d.user(lock))
		}
		if user == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return user
		case <-time.After(glance):
		}
	}
}

// settle has dpkg bring its journal into its status file, where it was cut off before it did. Until then nothing can be installed or
// removed, and PackageKit has no method that does this: its RepairSystem looks at the status file. No package is touched by it.
func (d dpkg) settle(ctx context.Context) error {
	journal, err := d.journal()
	if err != nil || len(journal) == 0 {
		return err
	}
	if err := d.rest(ctx, frontendLock, dpkgLock); err != nil {
		return err
	}
	// It sets no selections, as there are none in what it reads.
	out, err := exec.CommandContext(ctx, "dpkg", "--admindir="+d.dir, "--set-selections").CombinedOutput()
	if err != nil {
		return fmt.Errorf("dpkg was cut off, and its journal cannot be settled: %w: %s. Run dpkg --configure -a", err, lines(string(out)))
	}
	return nil
}
