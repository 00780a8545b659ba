package packagekit

import (
	"fmt"
	"strings"
)

// An id names a version of a package: name;version;arch;data. Data says where it comes from, and in what words depends on whether it is
// installed, so that two ids are of the same version when the other three are equal.
type id struct{ name, version, arch, data string }

func parseID(text string) (id, error) {
	parts := strings.Split(text, ";")
	if len(parts) != 4 || parts[0] == "" {
		return id{}, fmt.Errorf("%q is no package id", text)
	}
	return id{parts[0], parts[1], parts[2], parts[3]}, nil
}

func (i id) String() string { return strings.Join([]string{i.name, i.version, i.arch, i.data}, ";") }

// words are for people.
func (i id) words() string { return i.name + " " + i.version }

// same says whether two ids are of the same version of a package.
func (i id) same(o id) bool { return i.name == o.name && i.version == o.version && i.arch == o.arch }

// automatic says that the package was installed because another needs it.
func (i id) automatic() bool {
	return strings.HasPrefix(i.data, "auto:") || strings.HasPrefix(i.data, "+auto:") || i.data == "auto"
}

// local says that no repository is known to have what is installed.
func (i id) local() bool {
	return i.data == "local" || strings.HasSuffix(i.data, ":local")
}

// kept is the id as it is kept: without the data, but for whether the package was installed because another needs it.
func (i id) kept() string {
	auto := i.automatic()
	if i.data = ""; auto {
		i.data = "auto"
	}
	return i.String()
}

// asked is the id by which this very version is asked for. The architecture is the host's own, which packages for all have too.
func asked(name, version string) string {
	return id{name: name, version: version, arch: "all"}.String()
}

// again is the id by which an available version is installed as automatically as it was.
func (i id) again(automatic bool) string {
	if automatic {
		i.data = "+auto:" + i.data
	}
	return i.String()
}

// The filters and flags that are used: PackageKit's enums, as bits.
const (
	filterInstalled = 1 << 2
	filterArch      = 1 << 18 // of the host's own architecture, and of all

	flagOnlyTrusted    = 1 << 1
	flagSimulate       = 1 << 2
	flagAllowDowngrade = 1 << 6
)

// An info says what a package is, or what is done with it.
type info uint32

const (
	infoInstalled   info = 1
	infoUpdating    info = 11
	infoInstalling  info = 12
	infoRemoving    info = 13
	infoObsoleting  info = 15
	infoDowngrading info = 20

	// infoMask leaves out how urgent an update is, which later versions put into the upper half.
	infoMask info = 0xffff
)

// A found package is one that PackageKit has told of.
type found struct {
	id
	info info
}
