package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A modelConfig is a configuration as the model draws it and knows it: what it means is said here a second time, and by nothing
// that opdbus itself is made of.
type modelConfig struct {
	stages  []modelStage
	files   []modelFile // at most one a target
	plugins []modelPlugin
}

type modelStage struct {
	name, version, source string
	needs                 []string
	keys                  []string // of for_each
	failing               bool     // it has a check that fails
}

type modelFile struct {
	stage, target, kind, content, mode, conflict string
	slot                                         int  // its path in the stage
	sourced                                      bool // the path and the content are of the stage's source
}

type modelPlugin struct {
	name, version, stage string // stage: the one that lists it
	block                bool
}

const (
	eachStage = "each" // the stage with for_each
	sourced   = "bin/tool"
)

func modelStages() []string  { return []string{"s1", "s2", "s3", eachStage} }
func modelTargets() []string { return append(leafTargets(), dirTargets()...) }
func leafTargets() []string {
	return []string{"/etc/m", "/opt/a", "/opt/b", "/opt/d/x", "/opt/d/e/z", "/srv/q/r", "/srv/q/s"}
}
func dirTargets() []string { return []string{"/opt/d", "/opt/d/e", "/srv/q"} }

func newModelConfig() modelConfig {
	var c modelConfig
	for _, s := range modelStages() {
		c.stages = append(c.stages, modelStage{name: s})
	}
	for _, p := range []string{"login1", "net", "systemd"} {
		c.plugins = append(c.plugins, modelPlugin{name: p})
	}
	return c
}

func (c modelConfig) clone() modelConfig {
	c.stages, c.files, c.plugins = slices.Clone(c.stages), slices.Clone(c.files), slices.Clone(c.plugins)
	return c
}

// edit is what somebody does to a configuration.
func (c modelConfig) edit(t *rapid.T) modelConfig {
	c = c.clone()
	for range rapid.IntRange(1, 4).Draw(t, "edits") {
		switch rapid.IntRange(0, 9).Draw(t, "edit") {
		default:
			c.assign(t)
		case 6:
			if len(c.files) > 0 {
				c.move(t, rapid.IntRange(0, len(c.files)-1).Draw(t, "file"))
			}
		case 7:
			c.editStage(t, rapid.IntRange(0, len(c.stages)-1).Draw(t, "stage"))
		case 8:
			p := &c.plugins[rapid.IntRange(0, len(c.plugins)-1).Draw(t, "plugin")]
			p.version = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")
			p.block = rapid.Bool().Draw(t, "block")
			p.stage = rapid.SampledFrom([]string{"", "s1", "s2"}).Draw(t, "listed by")
		case 9:
			name := rapid.SampledFrom(modelStages()).Draw(t, "dropped")
			c.files = slices.DeleteFunc(c.files, func(f modelFile) bool { return f.stage == name })
		}
	}
	return c
}

// assign gives a target to a stage, or takes it away.
func (c *modelConfig) assign(t *rapid.T) {
	f := modelFile{target: rapid.SampledFrom(modelTargets()).Draw(t, "target")}
	c.files = slices.DeleteFunc(c.files, func(o modelFile) bool { return o.target == f.target })
	f.stage = rapid.SampledFrom(append([]string{""}, modelStages()...)).Draw(t, "stage")
	if f.stage == "" {
		return
	}
	f.kind = "directory"
	f.mode = rapid.SampledFrom([]string{"", "0700"}).Draw(t, "mode")
	if slices.Contains(leafTargets(), f.target) {
		f.kind = rapid.SampledFrom([]string{"symlink", "copy", "copy-if-not-exists"}).Draw(t, "type")
		f.content = rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "content")
		f.sourced = rapid.Bool().Draw(t, "sourced")
	}
	conflicts := []string{"", "adopt"}
	if f.kind != "directory" {
		conflicts = append(conflicts, "backup")
	}
	f.conflict = rapid.SampledFrom(conflicts).Draw(t, "on_conflict")
	f.slot = rapid.IntRange(0, 3).Draw(t, "slot")
	c.files = append(c.files, f)
}

// move gives a file another target: the same object stands elsewhere.
func (c *modelConfig) move(t *rapid.T, i int) {
	pool := leafTargets()
	if c.files[i].kind == "directory" {
		pool = dirTargets()
	}
	to := rapid.SampledFrom(pool).Draw(t, "new target")
	if !slices.ContainsFunc(c.files, func(f modelFile) bool { return f.target == to }) {
		c.files[i].target = to
	}
}

func (c *modelConfig) editStage(t *rapid.T, i int) {
	s := &c.stages[i]
	s.version = rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version")
	s.source = rapid.SampledFrom([]string{"", "src1", "src2"}).Draw(t, "source")
	s.keys = []string{"x", "y"}[:rapid.IntRange(0, 2).Draw(t, "keys")]
	s.needs = nil
	for _, other := range modelStages()[:i] {
		if rapid.Bool().Draw(t, "needs "+other) {
			s.needs = append(s.needs, other)
		}
	}
}

// there says whether a stage is in the configuration at all.
func (c modelConfig) there(s modelStage) bool {
	return s.version != "" || slices.ContainsFunc(c.files, func(f modelFile) bool { return f.stage == s.name }) ||
		slices.ContainsFunc(c.plugins, func(p modelPlugin) bool { return p.stage == s.name })
}

// tangled says whether something is put into a directory by a stage that has to come before the one that makes it.
func (c modelConfig) tangled() bool {
	after := map[string]map[string]bool{} // what comes before a stage
	for _, s := range c.stages {
		after[s.name] = map[string]bool{}
		for _, n := range c.needs(s) {
			after[s.name][n] = c.there(s)
		}
	}
	for _, dir := range c.files {
		for _, f := range c.files {
			if dir.kind == "directory" && f.stage != dir.stage && strings.HasPrefix(f.target, dir.target+"/") && dir.stage != eachStage {
				after[f.stage][dir.stage] = true
			}
		}
	}
	for range after { // as often as a way can be long
		for a := range after {
			for b, is := range after[a] {
				for d, also := range after[b] {
					after[a][d] = after[a][d] || is && also
				}
			}
		}
	}
	for s := range after {
		if after[s][s] {
			return true
		}
	}
	return false
}

// needs are the stages that a stage depends on.
func (c modelConfig) needs(s modelStage) []string {
	return slices.DeleteFunc(slices.Clone(s.needs), func(n string) bool { return !c.there(*c.stage(n)) })
}

func (c modelConfig) stage(name string) *modelStage {
	for i := range c.stages {
		if c.stages[i].name == name {
			return &c.stages[i]
		}
	}
	return nil
}

// in are a stage's files, with paths that differ.
func (c modelConfig) in(s modelStage) (files []modelFile, paths []string) {
	for _, f := range c.files {
		if f.stage != s.name {
			continue
		}
		f.sourced = f.sourced && s.source != "" && f.kind != "directory" && !slices.Contains(paths, sourced)
		path := sourced
		if f.sourced {
			f.content = sourceContent(s.source)
		} else {
			for path = fmt.Sprint("p", f.slot); slices.Contains(paths, path); path = fmt.Sprint("p", f.slot) {
				f.slot++
			}
		}
		files, paths = append(files, f), append(paths, path)
	}
	return files, paths
}

func sourceContent(source string) string { return "tool of " + source }

// write writes the configuration into a directory.
func (c modelConfig) write(t require.TestingT, dir string) {
	require.NoError(t, os.RemoveAll(dir))
	for _, s := range []string{"src1", "src2"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, s, "bin"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, s, sourced), []byte(sourceContent(s)), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.hcl"), []byte(c.hcl()), 0o644))
}

func (c modelConfig) hcl() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	optional := func(name, value string) {
		if value != "" {
			p("  %s = %q", name, value)
		}
	}
	for _, s := range c.stages {
		if !c.there(s) {
			continue
		}
		p("stage %q {", s.name)
		optional("version", s.version)
		optional("source", s.source)
		suffix := ""
		if s.name == eachStage {
			p("  for_each = toset(%s)", list(s.keys))
			suffix = "-${each.key}"
		}
		p("  dependencies = %s", list(c.needs(s)))
		var listed []string
		for _, pl := range c.plugins {
			if pl.stage == s.name {
				listed = append(listed, pl.name)
			}
		}
		p("  plugins = %s", list(listed))
		files, paths := c.in(s)
		for i, f := range files {
			p("  file %q {", paths[i])
			p("    target = \"%s%s\"", f.target, suffix)
			p("    type = %q", f.kind)
			if f.kind != "directory" && !f.sourced {
				p("    content = %q", f.content)
			}
			optional("  mode", f.mode)
			optional("  on_conflict", f.conflict)
			p("  }")
		}
		if s.failing {
			p("  verify \"never\" {\n    command = [\"false\"]\n  }")
		}
		p("}")
	}
	for _, pl := range c.plugins {
		if pl.block {
			p("plugin %q {\n  version = %q\n}", pl.name, pl.version)
		}
	}
	return b.String()
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// A modelThing is what has to stand at a target.
type modelThing struct {
	target, kind, content, mode, conflict string
	staged                                string // its path below the stages' trees
}

// instances are a stage's nodes: the suffix of their targets and the name of their tree.
func (s modelStage) instances() (suffixes, trees []string) {
	if s.name != eachStage {
		return []string{""}, []string{s.name}
	}
	for _, k := range s.keys {
		suffixes, trees = append(suffixes, "-"+k), append(trees, s.name+"@"+k)
	}
	return suffixes, trees
}

// things are what has to stand where, and trees the nodes' that there have to be.
func (c modelConfig) things() (things []modelThing, trees []string) {
	for _, s := range c.stages {
		if !c.there(s) {
			continue
		}
		suffixes, dirs := s.instances()
		files, paths := c.in(s)
		for i, suffix := range suffixes {
			for j, f := range files {
				mode := f.mode
				if mode == "" {
					mode = map[bool]string{true: "0755", false: "0644"}[f.kind == "directory"]
				}
				things = append(things, modelThing{f.target + suffix, f.kind, f.content, mode, f.conflict, dirs[i] + "/" + paths[j]})
			}
		}
		trees = append(trees, dirs...)
	}
	for _, p := range c.plugins {
		if p.block && p.stage == "" {
			trees = append(trees, "plugin."+p.name)
		}
	}
	slices.Sort(trees)
	return things, trees
}

// registered are the plugins that have to be registered, with what their files have to say.
func (c modelConfig) registered() map[string][]string {
	all := map[string][]string{}
	for _, p := range c.plugins {
		version := p.version
		if !p.block && p.stage != "" {
			version = c.stage(p.stage).version
		}
		if p.block || p.stage != "" {
			all["/etc/op-dbus/plugins/"+p.name+".toml"] = []string{fmt.Sprintf("name = %q\n", p.name), fmt.Sprintf("version = %q\n", version), fmt.Sprintf("stage = %q\n", p.stage)}
		}
	}
	return all
}
