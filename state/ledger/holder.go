package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// HolderOf tells who is written in the lock at path, without taking it; ok is false when nobody is. Who is written there and no
// longer lives has left the lock behind.
func HolderOf(path string) (h Holder, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("cannot read the lock: %w", err)
	}
	defer f.Close()
	h, ok = readHolder(f)
	return h, ok, nil
}

// Alive says whether the process that is written in a lock is still there: not one that has its number by now.
func (h Holder) Alive() bool {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil && strings.TrimSpace(string(boot)) != h.Boot {
		return false
	}
	start, err := startTimeOf(strconv.Itoa(h.PID))
	return err == nil && start == h.Start
}
