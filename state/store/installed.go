package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"
	"golang.org/x/sys/unix"
)

// A Unit is one that Init installs, as it is now.
type Unit struct {
	Name      string
	Purpose   string
	Installed bool
	Enabled   bool
	Program   string // that it runs; empty: none
	Runs      bool   // the program is there and can be executed
}

// Units tells of the units that Init installs: the one that mounts the image, where the store is in one, and the one that recovers.
func (s *Store) Units() ([]Unit, error) {
	recover := Unit{Name: s.RecoverUnit(), Purpose: "takes back, at boot, a run that was cut off"}
	if err := s.look(&recover, "multi-user.target"); err != nil {
		return nil, err
	}
	units := []Unit{recover}
	if _, err := os.Lstat(s.Image()); err == nil {
		mount := Unit{Name: unit.UnitNamePathEscape(s.inside) + ".mount", Purpose: "mounts the store at boot"}
		if err := s.look(&mount, "local-fs.target"); err != nil {
			return nil, err
		}
		units = append(units, mount)
	}
	return units, nil
}

func (s *Store) look(u *Unit, wantedBy string) error {
	text, err := os.ReadFile(filepath.Join(s.host.Path(unitDir), u.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read unit %s: %w", u.Name, err)
	}
	u.Installed = true
	_, err = os.Lstat(filepath.Join(s.host.Path(unitDir), wantedBy+".wants", u.Name))
	u.Enabled = err == nil
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if program, ok := strings.CutPrefix(lines.Text(), "ConditionFileIsExecutable="); ok {
			u.Program = strings.ReplaceAll(program, "%%", "%")
			u.Runs = unix.Access(s.host.Path(u.Program), unix.X_OK) == nil
		}
	}
	return nil
}
