package desired

import (
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// settings are the opdbus block on its way.
type settings struct {
	block  *block
	shape  *shape
	refs   []*reference
	failed bool
}

type settingsBlock struct {
	RequiredVersion string          `hcl:"required_version,optional"`
	Features        []string        `hcl:"features,optional"`
	Store           string          `hcl:"store,optional"`
	Registry        string          `hcl:"registry,optional"`
	OnFailure       string          `hcl:"on_failure,optional"`
	Snapshots       *snapshotsBlock `hcl:"snapshots,block"`
}

type snapshotsBlock struct {
	Keep       int      `hcl:"keep,optional"`
	KeepDays   int      `hcl:"keep_days,optional"`
	Subvolumes []string `hcl:"subvolumes,optional"`
	site
}

// defaultStore is where opdbus keeps what it makes when neither the configuration nor the user says otherwise.
const defaultStore = "/var/lib/op-dbus"

func (l *loader) takeSettings(b *block, s *shape) {
	if l.settings != nil {
		l.errorf(b.def(), "Duplicate opdbus block", "There is already an opdbus block at %s. A configuration has one.", l.at(l.settings.block.def()))
		return
	}
	sv := &survey{report: l.hclDiags, refs: references{}}
	sv.body(b.body, s.words, b.def())
	l.settings = &settings{block: b, shape: s, refs: sv.refs.list()}
}

// evalSettings evaluates the opdbus block. Features that the host offers are on besides those it lists.
func (l *loader) evalSettings() {
	for _, f := range l.o.Facts.Features {
		l.features[f] = true
	}
	if l.settings == nil {
		return
	}
	var s settingsBlock
	d := l.decoder()
	b := l.settings.block
	c, x := d.block(b, l.settings.shape, l.scope(l.settings.refs), reflect.ValueOf(&s).Elem())
	l.settings.failed = d.errors > 0
	l.notSensitive(c, x)
	at := func(name string) hcl.Range {
		if e := c.attr(name); e != nil {
			return e.Range()
		}
		return b.def()
	}
	l.checkVersion(s.RequiredVersion, at("required_version"))
	for _, name := range []string{"store", "registry"} {
		if p := map[string]string{"store": s.Store, "registry": s.Registry}[name]; p != "" && (!path.IsAbs(p) || path.Clean(p) != p) {
			l.errorf(at(name), "Invalid "+name, "The %s is an absolute path without \".\", \"..\" or a slash at its end, not %q.", name, p)
		}
	}
	switch s.OnFailure {
	case "", "rollback", "node", "stop":
	default:
		l.errorf(at("on_failure"), "Invalid on_failure", "It is \"rollback\", \"node\" or \"stop\", not %q.", s.OnFailure)
	}
	l.config.Settings = state.Settings{Features: s.Features, Store: s.Store, Registry: s.Registry, OnFailure: s.OnFailure}
	if sn := s.Snapshots; sn != nil {
		l.snapshots(sn)
	}
	for _, f := range s.Features {
		l.features[f] = true
	}
}

func (l *loader) snapshots(s *snapshotsBlock) {
	l.notSensitiveAt(s.site)
	for name, n := range map[string]int{"keep": s.Keep, "keep_days": s.KeepDays} {
		if n < 0 {
			l.diags.Errorf(s.attr(name), "Invalid "+name, "It must not be negative; 0 sets no limit.")
		}
	}
	for i, p := range s.Subvolumes {
		switch {
		case !path.IsAbs(p) || path.Clean(p) != p:
			l.diags.Errorf(s.attr("subvolumes"), "Invalid subvolumes", "A subvolume is named by its absolute path without \".\", \"..\" or a slash at its end, not %q.", p)
		case slices.Contains(s.Subvolumes[:i], p):
			l.diags.Errorf(s.attr("subvolumes"), "Invalid subvolumes", "%s is named twice; name it once.", p)
		case p == l.store() || strings.HasPrefix(p, l.store()+"/"):
			l.diags.Errorf(s.attr("subvolumes"), "Invalid subvolumes", "%s is in the store %s, whose subvolumes are snapshotted with their nodes; leave it out.", p, l.store())
		}
	}
	l.config.Settings.SubvolumesAt = s.attr("subvolumes")
	l.config.Settings.Snapshots = state.SnapshotSettings{Keep: s.Keep, KeepDays: s.KeepDays, Subvolumes: s.Subvolumes}
}

// checkVersion holds required_version against the version at work. One that is no version, as of a development build,
// satisfies everything.
func (l *loader) checkVersion(required string, at hcl.Range) {
	if required == "" {
		return
	}
	constraints, err := version.NewConstraint(required)
	if err != nil {
		l.errorf(at, "Invalid required_version", "%q is not a version constraint; write it like \">= 1.2, < 2.0\".", required)
		return
	}
	have, err := version.NewVersion(l.o.Version)
	if err != nil {
		return
	}
	if !constraints.Check(have.Core()) {
		l.errorf(at, "Unsupported opdbus version", "This configuration requires opdbus %s; this is %s. Install a version that satisfies it, or change required_version.", required, l.o.Version)
	}
}

func (l *loader) store() string {
	if l.o.Store != "" {
		return l.o.Store
	}
	if s := l.config.Settings.Store; s != "" {
		return s
	}
	return defaultStore
}
