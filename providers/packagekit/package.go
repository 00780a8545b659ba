package packagekit

import (
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// What ensure can be. Of what is there it may be a state of dpkg's as well, such as half-configured.
const (
	installed = "installed" // also when it is not set
	removed   = "removed"
	latest    = "latest"
)

// A Package is what is managed of one package of the host's own architecture.
type Package struct {
	Name string `hcl:"name,label" json:"name"`
	// Ensure is installed, removed or latest.
	Ensure string `hcl:"ensure,optional" json:"ensure,omitempty"`
	// Version is the one to be installed, in the words of the package system.
	Version *string `hcl:"version,optional" json:"version,omitempty"`

	// Besides is what changes lead back to, and what a plan says nothing of.
	Besides `json:"besides,omitzero"`
	// Found is what was there before; nil where the package was not installed.
	Found *Package `json:"found,omitempty"`

	lost bool // of what is installed: no repository has it
}

// Besides is what is kept of a package besides what is managed of it.
type Besides struct {
	// Installed is the id of the version that was there when it was looked at; empty for none. It is what going back leads to.
	Installed string `json:"installed,omitempty"`
	// Came are the ids of the packages that are installed because this one needs them; they go with it.
	Came []string `json:"came,omitempty"`
	// Displaced are the ids of the packages that had to go for this one to be installed, and Dependents of those that had to go with
	// it when it was removed. They come back when it is so no more.
	Displaced  []string `json:"displaced,omitempty"`
	Dependents []string `json:"dependents,omitempty"`
}

// Key is the package's name.
func (p Package) Key() string { return p.Name }

// Thing says that a package is one thing, whoever declares it.
func (p Package) Thing() string { return "package " + p.Name }

// Same compares what is managed.
func (p Package) Same(other state.Object) bool {
	o, ok := other.(Package)
	return ok && p.sameState(o)
}

func (p Package) sameState(o Package) bool {
	if p.Name != o.Name || p.ensure() != o.ensure() {
		return false
	}
	if p.Version == nil || o.Version == nil {
		return p.Version == o.Version
	}
	return *p.Version == *o.Version
}

func (p Package) ensure() string {
	if p.Ensure == "" {
		return installed
	}
	return p.Ensure
}

// picky says that it matters which version is there.
func (p Package) picky() bool { return p.Version != nil || p.Ensure == latest }

// present says that the package is there, whatever its version.
func (p *Package) present() bool {
	return p != nil && (p.ensure() == installed || p.Ensure == latest)
}

// plain is the package without what was before it.
func (p Package) plain() *Package {
	p.Found, p.Came, p.Displaced, p.Dependents = nil, nil, nil, nil
	return &p
}

// there is the id of what is installed; the zero id for nothing.
func (p *Package) there() id {
	if p == nil || p.Installed == "" {
		return id{}
	}
	i, _ := parseID(p.Installed)
	return i
}

// Check finds what no package system would take.
func (p Package) Check(report func(attr, summary, detail string)) {
	switch {
	case p.Name == "" || strings.ContainsAny(p.Name, "; \t\n/"):
		report("", "Invalid package name", fmt.Sprintf("%q is no name of a package.", p.Name))
	case strings.Contains(p.Name, ":"):
		report("", "Invalid package name", p.Name+" names an architecture. Packages are of the host's own architecture; give the name alone.")
	}
	switch p.Ensure {
	case "", installed:
	case removed, latest:
		if p.Version != nil {
			report("version", "Version of a package that is "+p.Ensure, "A version can be chosen for a package that is installed only. Take out version, or ensure.")
		}
	default:
		report("ensure", "Invalid ensure", fmt.Sprintf("ensure is %q, %q or %q; this is %q.", installed, removed, latest, p.Ensure))
	}
	if p.Version != nil && (*p.Version == "" || strings.ContainsAny(*p.Version, "; \t\n")) {
		report("version", "Invalid version", fmt.Sprintf("%q is no version of a package.", *p.Version))
	}
}
