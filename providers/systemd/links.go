package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/opdbus/opdbus/providers/internal/hostfs"
)

// links is how units are installed, by the links that there are. Systemd looks at the same when it is asked for the state of a unit file
// (unit_file_lookup_state, src/shared/install.c), all of it again for each unit, which takes it milliseconds a unit. What is here is what
// follows from links alone; of what does not, systemd is asked.
type links struct {
	tree    *hostfs.Tree
	dirs    []unitDirectory
	enabled map[string]bool // the names of links that have a unit be wanted or required, in /etc/systemd/system
	runtime map[string]bool // the same in /run
	others  map[string]bool // what links of other names lead to: an alias, or a template's default instance
}

// A unitDirectory is one that systemd finds unit files in. Those of packages may have many files, and are not listed.
type unitDirectory struct {
	path   string
	listed bool
	names  map[string]bool
}

// links reads the links in the directories that systemd looks in.
func (p *units) links(ctx context.Context, t *hostfs.Tree) (*links, error) {
	v, err := p.manager.bus.Get(ctx, service, managerPath, managerFace, "UnitPath")
	if err != nil {
		return nil, fmt.Errorf("cannot read where unit files are: %w", err)
	}
	var dirs []string
	if err := v.Store(&dirs); err != nil {
		return nil, fmt.Errorf("cannot read where unit files are: %w", err)
	}
	l := &links{tree: t, enabled: map[string]bool{}, runtime: map[string]bool{}, others: map[string]bool{}}
	for _, dir := range dirs {
		d := unitDirectory{path: dir}
		if strings.HasPrefix(dir, "/etc/") || strings.HasPrefix(dir, "/run/") {
			d.listed, d.names = true, map[string]bool{}
			if err := l.list(d); err != nil {
				return nil, fmt.Errorf("cannot read the links of units: %w", err)
			}
		}
		l.dirs = append(l.dirs, d)
	}
	return l, nil
}

func (l *links) list(d unitDirectory) error {
	return l.each(d.path, func(in *hostfs.Dir, name string) error {
		switch path.Ext(name) {
		case ".wants", ".requires", ".upholds":
			return l.wanted(d.path, name)
		}
		d.names[name] = true
		return l.follow(in, name)
	})
}

// wanted reads the links of units that one wants.
func (l *links) wanted(dir, name string) error {
	return l.each(dir+"/"+name, func(in *hostfs.Dir, name string) error {
		switch {
		case dir == unitDir:
			l.enabled[name] = true
		case strings.HasPrefix(dir, "/run/"):
			l.runtime[name] = true
		}
		return l.follow(in, name)
	})
}

// follow notes what a link leads to whose name is another one.
func (l *links) follow(in *hostfs.Dir, name string) error {
	to, err := in.Readlink(name)
	if errors.Is(err, unix.EINVAL) || hostfs.IsMissing(err) { // no link, or gone just now
		return nil
	}
	if base := path.Base(to); err == nil && base != name {
		l.others[base] = true
	}
	return err
}

// each calls f with all that is in a directory; where there is none, nothing is.
func (l *links) each(dir string, f func(in *hostfs.Dir, name string) error) error {
	names, err := l.tree.Names(dir)
	var blocked *hostfs.BlockedError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &blocked) {
		return nil
	}
	if err != nil || len(names) == 0 {
		return err
	}
	return l.tree.In(dir+"/"+names[0], func(in *hostfs.Dir, _ string) error {
		for _, name := range names {
			if err := f(in, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// The states of unit files that are told by links, as systemd names them.
const (
	stateEnabled  = "enabled"
	stateDisabled = "disabled"
	stateMasked   = "masked"
)

// state is that of a unit's file: enabled, masked, or disabled, which of a unit that is not to be enabled says only that it is not. It is
// empty where there is no file; sure is false where systemd has to be asked.
func (l *links) state(name string, toBeEnabled bool) (state string, sure bool, err error) {
	file, err := l.find(name)
	if err != nil {
		return "", false, err
	}
	if template := templateOf(name); file.dir == "" && template != "" {
		file, err = l.find(template)
		if err != nil || file.masked {
			return "", false, err
		}
	}
	switch {
	case file.dir == "":
		return "", true, nil
	case file.masked && file.dir == unitDir:
		return stateMasked, true, nil
	case !file.regular || file.dir != unitDir && !file.packaged:
		return "", false, nil
	case l.enabled[name]:
		return stateEnabled, true, nil
	case l.runtime[name] || l.others[name]:
		return "", false, nil
	case !toBeEnabled:
		return stateDisabled, true, nil
	}
	content, err := l.tree.ReadFile(file.dir+"/"+file.name, limit)
	if err != nil {
		return "", false, err
	}
	return stateDisabled, installable(string(content)), nil
}

// A foundFile is the file that a unit comes from; its dir is empty where there is none.
type foundFile struct {
	dir, name                 string
	regular, masked, packaged bool
}

// find finds the file of a name, which is the first in the order of the directories.
func (l *links) find(name string) (f foundFile, err error) {
	for _, d := range l.dirs {
		if d.listed && !d.names[name] {
			continue
		}
		err := l.tree.In(d.path+"/"+name, func(in *hostfs.Dir, name string) error {
			st, err := in.Lstat(name)
			if err != nil {
				return err
			}
			f = foundFile{dir: d.path, name: name, packaged: !d.listed}
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFREG:
				f.masked = st.Size == 0
				f.regular = !f.masked
			case unix.S_IFLNK:
				to, err := in.Readlink(name)
				f.masked = to == "/dev/null"
				return err
			}
			return nil
		})
		var blocked *hostfs.BlockedError
		if hostfs.IsMissing(err) || errors.As(err, &blocked) {
			continue
		}
		return f, err
	}
	return foundFile{}, nil
}

// templateOf is the name of the template that an instance is one of; empty for what is none.
func templateOf(name string) string {
	at, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.')
	if at < 0 || dot == at+1 {
		return ""
	}
	return name[:at+1] + name[dot:]
}

// installable says whether a unit file surely says what enabling it is to do.
func installable(content string) bool { return len(wantedIn(content)) > 0 }

// wantedIn are the directories for the links by which a unit is enabled, as its file says.
func wantedIn(content string) (dirs []string) {
	section := ""
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		name, value, _ := strings.Cut(line, "=")
		suffix := map[string]string{"WantedBy": ".wants", "RequiredBy": ".requires"}[strings.TrimSpace(name)]
		if section != "[Install]" || suffix == "" {
			continue
		}
		for _, by := range strings.Fields(value) {
			dirs = append(dirs, by+suffix)
		}
	}
	return dirs
}
