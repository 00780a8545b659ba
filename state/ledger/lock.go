package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Holder is who has the lock. The kernel lets go of the lock itself (flock(2)) when its holder dies, so that a holder
// written in a lock that can be had is one that died.
type Holder struct {
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // of the process, in clock ticks since boot (proc(5), starttime)
	Boot    string    `json:"boot"`
	Since   time.Time `json:"since"`
	Run     int       `json:"run,omitempty"`
	Command string    `json:"command"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	s := fmt.Sprintf("process %d (%s) since %s", h.PID, h.Command, h.Since.Format(time.RFC3339))
	if h.Run > 0 {
		s += fmt.Sprintf(", run %d", h.Run)
	}
	return s
}

// A LockedError says that somebody else has the lock.
type LockedError struct {
	Path   string
	Holder Holder
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("the lock %s is held by %s; wait for it, or give --lock-timeout", e.Path, e.Holder)
}

// A Lock is the right to change the host and the ledger.
type Lock struct {
	file *os.File
	// Dead is the holder that the lock was taken over from; nil when the last one let go of it.
	Dead *Holder
}

// Take takes the lock at path for a command, waiting for it up to timeout; waiting is told the holder once when it has to.
func Take(ctx context.Context, path, command string, timeout time.Duration, waiting func(Holder)) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for told := false; ; told = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		holder, _ := readHolder(f)
		if !told && timeout > 0 && waiting != nil {
			waiting(holder)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, &LockedError{path, holder}
		case <-time.After(50 * time.Millisecond):
		}
	}
	l := &Lock{file: f}
	if dead, ok := readHolder(f); ok {
		l.Dead = &dead
	}
	start, err := startTimeOf("self")
	if err != nil {
		_ = l.Release()
		return nil, err
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	h := Holder{PID: os.Getpid(), Start: start, Boot: strings.TrimSpace(string(boot)), Since: time.Now().UTC().Truncate(time.Second), Command: command}
	if err := l.write(h); err != nil {
		_ = l.Release()
		return nil, err
	}
	return l, nil
}

// SetRun writes the run's number into the lock.
func (l *Lock) SetRun(run int) error {
	h, _ := readHolder(l.file)
	h.Run = run
	return l.write(h)
}

// Release lets go of the lock. The file stays: removing it would let two hold it.
func (l *Lock) Release() error {
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

func (l *Lock) write(h Holder) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	// Written first and cut to length then: at no moment does the lock not say who holds it.
	_, err = l.file.WriteAt(append(data, '\n'), 0)
	if err == nil {
		err = l.file.Truncate(int64(len(data)) + 1)
	}
	if err != nil {
		return fmt.Errorf("cannot write the lock's holder: %w", err)
	}
	return nil
}

// readHolder reads who is written in the lock; a damaged record is nobody. What follows the record is of a longer one before it.
func readHolder(f *os.File) (Holder, bool) {
	var h Holder
	if json.NewDecoder(io.NewSectionReader(f, 0, 1<<16)).Decode(&h) != nil || h.PID == 0 {
		return Holder{}, false
	}
	return h, true
}

// startTimeOf is field 22 of /proc/PID/stat; the command name before it may hold spaces and parentheses.
func startTimeOf(pid string) (uint64, error) {
	path := "/proc/" + pid + "/stat"
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("cannot read the process's start time: %w", err)
	}
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("cannot read the process's start time from %s", path)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
