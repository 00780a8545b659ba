package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A modelHost is a host that opdbus and somebody else work on, and what has to be so of it.
type modelHost struct {
	*rapid.T
	outer             *testing.T
	opdbus, root, dir string // dir: of the configuration, which is called c

	modelKnown
	tainted map[string]bool  // directories that may stay behind: something of somebody's was in them, or they were declared
	backups map[string]bool  // targets for which something was kept aside
	records []modelRecord    // what was before each run since somebody changed something
	first   string           // what was before all of them
	serial  int              // of what somebody wrote
	meddled bool             // somebody changed something
	checks  int              // that failed
	said    *strings.Builder // the plans and trees of the walk
}

// A modelForeign is one thing of somebody's, known by its content, which is like no other's.
type modelForeign struct {
	home, content string // a link's content begins with an arrow
}

func newModelHost(t *rapid.T, outer *testing.T, opdbus, btrfs string) *modelHost {
	dir, err := os.MkdirTemp(btrfs, "")
	require.NoError(t, err)
	h := &modelHost{T: t, outer: outer, opdbus: opdbus, root: filepath.Join(dir, "root"), dir: dir,
		modelKnown: modelKnown{applied: newModelConfig(), loose: map[string]bool{}, dirs: map[string]bool{}, touched: map[string]bool{}},
		tainted:    map[string]bool{}, backups: map[string]bool{}, said: &strings.Builder{}}
	require.NoError(t, os.MkdirAll(filepath.Join(h.root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/machine-id"), []byte(strings.Repeat("0", 31)+"1\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(h.root, "etc/hostname"), []byte("model\n"), 0o644))
	h.must("init")
	for path, line := range h.scan() { // what is there at first stays
		if h.dirs[path] = isDir(line); !isDir(line) {
			h.loose[path] = true
		}
	}
	h.first = h.past()
	return h
}

func (h *modelHost) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.opdbus, append([]string{"--root", h.root}, args...)...)
	cmd.Dir = h.dir
	return cmd
}

func (h *modelHost) run(args ...string) (code int, out string) {
	b, err := h.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(h, err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	h.Logf("opdbus %s: exit code %d\n%s", strings.Join(args, " "), code, b)
	return code, string(b)
}

func (h *modelHost) must(args ...string) string {
	code, out := h.run(args...)
	require.Zero(h, code, "opdbus %v:\n%s", args, out)
	return out
}

const (
	modelStore = "/var/lib/op-dbus"
	modelTrees = modelStore + "/staging/"
)

// scan describes everything on the host.
func (h *modelHost) scan() map[string]string { return scanHost(h, h.root) }

// scanHost describes everything on a host, the nodes' trees among it, by path. Snapshots are there by name, and of opdbus' own
// state only the ledger: of the rest nothing has to be as it was.
func scanHost(t require.TestingT, root string) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		if strings.HasPrefix(name, modelStore+"/state/") && name != modelStore+"/state/ledger.json" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		line, err := describe(path)
		if filepath.Base(name) == "ledger.json" && strings.Contains(line, `\"run\":0`) {
			return err // it owns nothing and never has: as good as none
		}
		all[name] = line
		if filepath.Dir(name)+"/" == modelTrees+"snapshots/" {
			return fs.SkipDir
		}
		return err
	})
	require.NoError(t, err)
	return all
}

// tree is a scan as one string, without times.
func treeOf(scan map[string]string) string {
	lines := make([]string, 0, len(scan))
	for path, line := range scan {
		lines = append(lines, timeless(path+" "+line+"\n"))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (h *modelHost) tree() string { return treeOf(h.scan()) }

// content is the content of a file, or where a link leads, by what describe says of it; empty for directories.
func content(line string) string {
	var quoted string
	if _, link, ok := strings.Cut(line, " -> "); ok {
		return "-> " + link
	}
	if fields := strings.SplitN(line, " ", 3); len(fields) == 3 && strings.HasPrefix(fields[2], `"`) {
		if _, err := fmt.Sscanf(fields[2], "%q", &quoted); err == nil {
			return quoted
		}
	}
	return ""
}

func isDir(line string) bool     { return strings.HasPrefix(line, "4") }
func isRegular(line string) bool { return strings.HasPrefix(line, "10") }
func modeOf(line string) string {
	mode, _, _ := strings.Cut(line, " ")
	return "0" + mode[len(mode)-3:]
}

// backupOf is where something is kept that stands in the way at a path.
func backupOf(path string) string {
	return filepath.Dir(path) + "/." + filepath.Base(path) + ".opdbus-backup"
}

// places are where something may be whose home a path is: there, or moved aside, with a directory above it as well.
func places(home string) []string {
	all := []string{home, backupOf(home)}
	for dir := filepath.Dir(home); dir != "/"; dir = filepath.Dir(dir) {
		all = append(all, backupOf(dir)+strings.TrimPrefix(home, dir))
	}
	return all
}

// locate finds each thing of somebody's: once, and where it may be.
func (h *modelHost) locate(scan map[string]string) []string {
	at := make([]string, len(h.foreign))
	for path, line := range scan {
		if strings.HasPrefix(path, modelStore+"/") {
			continue
		}
		for i, f := range h.foreign {
			if content(line) == f.content {
				require.Empty(h, at[i], "%q of %s is there twice, the second time at %s", f.content, f.home, path)
				require.Contains(h, places(f.home), path, "%q is not where it was put or kept aside", f.content)
				at[i] = path
			}
		}
	}
	for i, f := range h.foreign {
		require.NotEmpty(h, at[i], "%q, which somebody put at %s, is lost", f.content, f.home)
	}
	return at
}

// check holds the host against what is applied.
func (h *modelHost) check(was []string) {
	scan := h.scan()
	at := h.locate(scan)
	things, trees := h.applied.things()
	registered := h.applied.registered()
	needed := map[string]bool{"": true, "/": true} // directories
	above := func(path string) {
		for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
			needed[dir] = true
		}
	}
	known := map[string]bool{}
	declared := map[string]modelThing{}
	for _, thing := range things {
		declared[thing.target] = thing
		known[thing.target] = true
		above(thing.target)
		if i := slices.Index(at, thing.target); i >= 0 {
			assert.True(h, thing.kind == "copy-if-not-exists", "%q of somebody's stands at %s in place of the %s that is declared there", h.foreign[i].content, thing.target, thing.kind)
			continue
		}
		h.stands(scan, thing)
		if thing.kind == "directory" {
			needed[thing.target] = true
			h.taint(thing.target + "/x")
		}
	}
	for path, parts := range registered {
		known[path] = true
		above(path)
		for _, part := range parts {
			assert.Contains(h, content(scan[path]), part, "%s", path)
		}
	}
	for i, f := range h.foreign {
		known[at[i]] = true
		above(at[i])
		if d, taken := declared[f.home]; at[i] != f.home {
			h.backups[f.home] = true
		} else if was[i] == f.home {
			assert.True(h, !taken || d.kind == "copy-if-not-exists", "%s is declared, and what somebody put there still stands", f.home)
		}
		if !h.takenAbove(declared, f.home) && !h.occupied(scan, f, at) {
			assert.Equal(h, f.home, at[i], "nothing stands any more in the place of %q", f.content)
		}
	}
	for home := range h.loose {
		for _, path := range places(home) {
			if known[path] = true; scan[path] != "" {
				above(path)
			}
		}
	}
	for dir := range h.dirs {
		needed[dir] = true
	}
	for path, line := range scan {
		switch inStore := strings.HasPrefix(path+"/", modelStore+"/"); {
		case inStore:
		case isDir(line):
			assert.True(h, needed[path] || h.tainted[path] || strings.HasPrefix(modelStore, path), "the directory %s is left", path)
		default:
			assert.True(h, known[path], "%s is left: %s", path, line)
		}
	}
	var found []string
	for path := range scan {
		if name, ok := strings.CutPrefix(path, modelTrees); ok && !strings.Contains(name, "/") && name != "snapshots" {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	assert.Equal(h, trees, found, "the nodes' trees")
	if h.Failed() {
		h.FailNow()
	}
}

// stands checks what stands at a target, and what it leads to.
func (h *modelHost) stands(scan map[string]string, thing modelThing) {
	line := scan[thing.target]
	switch thing.kind {
	case "symlink":
		assert.Equal(h, "-> "+modelTrees+thing.staged, content(line), "%s", thing.target)
		assert.Equal(h, thing.content, content(scan[modelTrees+thing.staged]), "what %s leads to", thing.target)
	case "copy":
		assert.Equal(h, thing.content, content(line), "%s", thing.target)
		assert.Equal(h, thing.mode, modeOf(line+"   "), "%s", thing.target)
	case "copy-if-not-exists":
		assert.True(h, isRegular(line), "%s is %q", thing.target, line)
	case "directory":
		assert.True(h, isDir(line), "%s is %q", thing.target, line)
		assert.Equal(h, thing.mode, modeOf(line+"   "), "%s", thing.target)
	}
	if thing.kind != "directory" {
		assert.Equal(h, thing.content, content(scan[modelTrees+thing.staged]), "%s is staged for %s", thing.staged, thing.target)
	}
}

// takenAbove says whether a path, or one above it, is declared as something that may stand in the place of another's.
func (h *modelHost) takenAbove(declared map[string]modelThing, path string) bool {
	for ; path != "/"; path = filepath.Dir(path) {
		if _, taken := declared[path]; taken {
			return true
		}
	}
	return false
}

// occupied says whether somebody put something else where a thing of theirs was before.
func (h *modelHost) occupied(scan map[string]string, f modelForeign, at []string) bool {
	_, there := scan[f.home]
	return there && !slices.Contains(at, f.home) == h.loose[f.home] || there && slices.Contains(at, f.home)
}
