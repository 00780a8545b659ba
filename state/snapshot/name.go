package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A Phase says at which point of a node's turn a snapshot is taken.
type Phase string

// The phases, in the order in which they come within a step.
const (
	PreRollback Phase = "pre-rollback"
	Pre         Phase = "pre"
	Post        Phase = "post"
)

func (p Phase) order() int {
	switch p {
	case PreRollback:
		return 0
	case Pre:
		return 1
	case Post:
		return 2
	}
	return -1
}

// Name is what a snapshot is called: PHASE-NODE-YYYYMMDD-HHMMSS, in UTC. The node is given by its directory's name.
func Name(phase Phase, nodeDir string, at time.Time) string {
	return string(phase) + "-" + nodeDir + "-" + at.UTC().Format("20060102-150405")
}

// FreeName is Name, with -2, -3 and so on after it where dir holds that already.
func FreeName(dir string, phase Phase, nodeDir string, at time.Time) (string, error) {
	name := Name(phase, nodeDir, at)
	for try, n := name, 2; ; n++ {
		switch _, err := os.Lstat(filepath.Join(dir, try)); {
		case errors.Is(err, fs.ErrNotExist):
			return try, nil
		case err != nil:
			return "", fmt.Errorf("cannot find a name for a snapshot: %w", err)
		}
		try = name + "-" + strconv.Itoa(n)
	}
}
