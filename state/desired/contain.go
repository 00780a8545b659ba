package desired

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"errors"

	"github.com/hashicorp/hcl/v2"
)

// A path that the configuration names may lead into its own directory, or into one that --allow-source names, links
// resolved; everything else is refused.

// inside resolves a path and says where it is and by which name the digest knows it.
func (l *loader) inside(name string) (resolved, known string, err error) {
	if strings.ContainsRune(name, 0) {
		return "", "", errors.New("it has a NUL byte")
	}
	p := name
	if !filepath.IsAbs(p) {
		p = filepath.Join(l.dir, p)
	}
	resolved, err = filepath.EvalSymlinks(p)
	if err != nil {
		// Whether there is something outside is nobody's business.
		if _, ok := l.within(filepath.Clean(p)); !ok {
			return "", "", l.outside(name)
		}
		return "", "", unwrapPath(err)
	}
	known, ok := l.within(resolved)
	if !ok {
		return "", "", l.outside(name)
	}
	return resolved, known, nil
}

// within says whether a clean, absolute path is in an allowed directory, and names it relative to that.
func (l *loader) within(p string) (known string, ok bool) {
	for i, dir := range append([]string{l.dir}, l.allowed...) {
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
			continue
		}
		if i > 0 {
			rel = fmt.Sprintf("allowed %d: %s", i, rel)
		}
		return rel, true
	}
	return "", false
}

func (l *loader) outside(name string) error {
	return fmt.Errorf("%s leads outside the configuration's directory; allow the directory that it is in with --allow-source DIR, or move it", name)
}

// contain checks the source of a node and makes it absolute.
func (l *loader) contain(in *instance, self reflect.Value) {
	n := in.of
	a := n.catalogue.self.attr("source")
	if a == nil || a.raw {
		return
	}
	field := self.Field(a.index)
	if field.Kind() == reflect.Pointer {
		if field.IsNil() {
			return
		}
		field = field.Elem()
	}
	if field.Kind() != reflect.String || field.String() == "" {
		return
	}
	at := n.content.attr("source").Range()
	in.source = field.String()
	resolved, _, err := l.inside(in.source)
	if err != nil {
		l.badSource(at, in.source, err)
		return
	}
	info, err := os.Stat(resolved)
	switch {
	case err != nil:
		l.badSource(at, in.source, unwrapPath(err))
	case !info.IsDir():
		l.errorf(at, "Invalid source", "The source %q is not a directory.", in.source)
	default:
		field.SetString(resolved)
	}
}

func (l *loader) badSource(at hcl.Range, source string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		l.errorf(at, "Missing source", "There is no directory %q in the configuration's directory. A relative source is looked for there.", source)
		return
	}
	l.errorf(at, "Invalid source", "The source %q cannot be used: %s.", source, err)
}
