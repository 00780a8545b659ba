package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/opdbus/opdbus/state/durable"
)

const unitDir = "/etc/systemd/system"

// mountUnit installs and enables the unit that mounts the image at boot (systemd.mount(5)).
func (l Layout) mountUnit(w *work) error {
	return l.install(w, unit.UnitNamePathEscape(l.inside)+".mount", "local-fs.target", mountUnitText(l.inside))
}

// install writes and enables a unit. It does so by files, so that no systemd need be running; one that runs reads them at
// its next reload. A unit that is there is somebody's, and stays. One that nothing wants is started by another.
func (l Layout) install(w *work, name, wantedBy, text string) error {
	file := filepath.Join(l.host.Path(unitDir), name)
	wants := filepath.Dir(file)
	if wantedBy != "" {
		wants = filepath.Join(wants, wantedBy+".wants")
	}
	link := filepath.Join(wants, name)
	if err := w.parents(wants); err != nil {
		return err
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		w.there("unit", file)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := durable.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		w.made("unit", file, func() error { return os.Remove(file) })
	}
	if wantedBy == "" {
		return durable.SyncDir(wants)
	}
	err := os.Symlink(filepath.Join(unitDir, name), link)
	if errors.Is(err, fs.ErrExist) {
		w.there("link", link)
		return nil
	}
	if err != nil {
		return err
	}
	w.made("link", link, func() error { return os.Remove(link) })
	return durable.SyncDir(wants)
}

func mountUnitText(dir string) string {
	return fmt.Sprintf(`[Unit]
Description=Store of opdbus

[Mount]
What=%s%s
Where=%[1]s
Type=btrfs
Options=%[3]s

[Install]
WantedBy=local-fs.target
`, literal(dir), imageSuffix, mountOptions)
}

// literal is a path as the whole value of a setting, where a percent sign begins a specifier.
func literal(path string) string { return strings.ReplaceAll(path, "%", "%%") }
