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

// mountUnit installs and enables the unit that mounts the image at boot (systemd.mount(5)). It does so by files, so that
// no systemd need be running; one that runs reads them at its next reload.
func (l Layout) mountUnit(w *work) error {
	name := unit.UnitNamePathEscape(l.inside) + ".mount"
	file := filepath.Join(l.host.Path(unitDir), name)
	wants := filepath.Join(l.host.Path(unitDir), "local-fs.target.wants")
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
		if err := durable.WriteFile(file, []byte(mountUnitText(l.inside)), 0o644); err != nil {
			return err
		}
		w.made("unit", file, func() error { return os.Remove(file) })
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
	dir = strings.ReplaceAll(dir, "%", "%%") // a specifier otherwise
	return fmt.Sprintf(`[Unit]
Description=Store of opdbus

[Mount]
What=%s%s
Where=%[1]s
Type=btrfs
Options=%[3]s

[Install]
WantedBy=local-fs.target
`, dir, imageSuffix, mountOptions)
}
