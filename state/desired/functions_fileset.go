package desired

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// filesetFunction lists the regular files below a directory whose names match a pattern, in which ** stands for any
// directories. Links to files are listed when they stay inside; links to directories are not followed.
func (l *loader) filesetFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringParam("path"), stringParam("pattern")},
		Type:   function.StaticReturnType(cty.Set(cty.String)),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			dir, pattern := args[0].AsString(), args[1].AsString()
			names, err := l.fileset(dir, pattern)
			if err != nil {
				return cty.UnknownVal(t), fmt.Errorf("cannot list %s in %s: %w", pattern, dir, err)
			}
			if len(names) == 0 {
				return cty.SetValEmpty(cty.String), nil
			}
			values := make([]cty.Value, len(names))
			for i, name := range names {
				values[i] = cty.StringVal(name)
			}
			return cty.SetVal(values), nil
		},
	})
}

func (l *loader) fileset(dir, pattern string) ([]string, error) {
	if !doublestar.ValidatePattern(pattern) {
		return nil, errors.New("the pattern is not valid")
	}
	pattern = path.Clean(pattern)
	if path.IsAbs(pattern) || pattern == ".." || strings.HasPrefix(pattern, "../") {
		return nil, errors.New("the pattern leads outside the directory")
	}
	resolved, known, err := l.inside(dir)
	if err != nil {
		return nil, err
	}
	w := &fileWalk{l: l, dir: resolved, pattern: pattern, deep: strings.Contains(pattern, "**"), depth: strings.Count(pattern, "/")}
	// What comes before the first wildcard is one directory, and nothing beside it is read.
	base, _ := doublestar.SplitPattern(pattern)
	if base == "." {
		base = ""
	}
	if err := w.walk(base); err != nil {
		return nil, err
	}
	slices.Sort(w.found)
	sum := sha256.Sum256([]byte(strings.Join(w.found, "\x00")))
	l.digest.file("fileset "+known+" "+pattern, fmt.Sprintf("%x", sum))
	return w.found, nil
}

// A fileWalk lists files with one read a directory and a look at links only.
type fileWalk struct {
	l            *loader
	dir, pattern string
	deep         bool // the pattern has **, which stands for directories
	depth        int  // how many directories the pattern goes down otherwise
	found        []string
}

func (w *fileWalk) walk(rel string) error {
	if rel != "" {
		if _, _, err := w.l.inside(filepath.Join(w.dir, rel)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, rel))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && rel != "" {
			return nil
		}
		return unwrapPath(err)
	}
	for _, e := range entries {
		name := path.Join(rel, e.Name())
		switch mode := e.Type(); {
		case mode.IsDir():
			if w.deep || strings.Count(name, "/") < w.depth {
				if err := w.walk(name); err != nil {
					return err
				}
			}
			continue
		case mode&fs.ModeSymlink != 0:
			if !doublestar.MatchUnvalidated(w.pattern, name) {
				continue
			}
			resolved, _, err := w.l.inside(filepath.Join(w.dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if info, err := os.Stat(resolved); err != nil || !info.Mode().IsRegular() {
				continue
			}
		case !mode.IsRegular() || !doublestar.MatchUnvalidated(w.pattern, name):
			continue
		}
		w.found = append(w.found, name)
	}
	return nil
}
