package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Mount is a file system that is mounted at a directory or below it.
type Mount struct {
	Path   string // from the directory; "." is itself
	Source string
}

// MountsIn tells what is mounted at a directory and below it, in the order in which it was (proc_pid_mountinfo(5)).
func MountsIn(dir string) ([]Mount, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot tell what is mounted at %s: %w", dir, err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot tell what is mounted at %s: %w", dir, err)
	}
	var mounts []Mount
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		fields, last := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(last) < 2 {
			continue
		}
		if path, err := filepath.Rel(real, unescape.Replace(fields[4])); err == nil && filepath.IsLocal(path) {
			mounts = append(mounts, Mount{path, unescape.Replace(last[1])})
		}
	}
	return mounts, nil
}

// mountedAt tells the source of the file system that is mounted at dir itself; empty when none is.
func mountedAt(dir string) (source string, err error) {
	mounts, err := MountsIn(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, m := range mounts {
		if m.Path == "." {
			source = m.Source // a later mount hides an earlier one
		}
	}
	return source, err
}
