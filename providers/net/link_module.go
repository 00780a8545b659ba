package net

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// module is the one in the kernel that makes links of a kind (modprobe(8)).
func module(kind string) string {
	switch kind {
	case "vlan":
		return "8021q"
	case "bond":
		return "bonding"
	case "tap":
		return "tun"
	}
	return kind
}

// refused says why the kernel makes no such link. It loads the module of a kind by itself where there is one.
func refused(err error, kind string) error {
	missing := errors.Is(err, unix.EOPNOTSUPP) // "Unknown device type"
	if module(kind) == "tun" {
		missing = missing || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) // /dev/net/tun makes them
	}
	if _, absent := os.Stat(filepath.Join("/sys/module", module(kind))); missing && absent != nil {
		return fmt.Errorf("%w: this kernel has no links of kind %s, and no module %s for them: install the package with the modules of the kernel that runs, or boot one that has it", err, kind, module(kind))
	}
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: another link is made with the same; where that one is to go, take it out of the configuration and apply before you declare this one", err)
	}
	return err
}
