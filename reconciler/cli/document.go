package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opdbus/opdbus/state/desired"
)

// source is the configuration of a command's arguments: a directory, or a state document, which is read alone. It gives the directory to be
// read.
func (l *loadFlags) source(args []string) (dir string, err error) {
	if len(args) == 0 || !isDocument(args[0]) {
		return directory(args)
	}
	l.file = filepath.Base(args[0])
	return filepath.Dir(args[0]), nil
}

// only has one file be read alone where path is a file, and gives the directory to be read.
func (l *loadFlags) only(path string) (dir string, err error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return path, nil // what is wrong with a directory is told by whoever reads it
	}
	if l.file = filepath.Base(path); !desired.IsConfig(l.file) && !isDocument(path) {
		return "", fmt.Errorf("cannot compare %s: it takes a configuration: a directory, one of its *.hcl and *.hcl.json files, or a state document such as a state.json. Saved plans cannot be compared", path)
	}
	return filepath.Dir(path), nil
}

// isDocument says whether a path is that of a state document. A saved plan is none, whatever it is called.
func isDocument(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && desired.IsDocument(filepath.Base(path)) && !isArchive(path)
}

// isArchive says whether a file begins as saved plans do, which are ZIP archives (APPNOTE.TXT, 4.3.7).
func isArchive(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 4)
	_, err = io.ReadFull(f, begin)
	return err == nil && bytes.Equal(begin, []byte("PK\x03\x04"))
}

// directory is the configuration's directory from a command's arguments.
func directory(args []string) (string, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("cannot read the configuration: %w", err)
	}
	if !info.IsDir() {
		return "", errors.New(dir + " is not a directory; give the directory that the configuration is in")
	}
	return dir, nil
}
