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

// somebody does something on the host that opdbus knows nothing of.
func (h *modelHost) somebody() {
	scan := h.scan()
	at := h.locate(scan)
	target := rapid.SampledFrom(modelTargets()).Draw(h.T, "place") + rapid.SampledFrom([]string{"", "", "-x"}).Draw(h.T, "suffix")
	if !h.reachable(target) {
		return
	}
	line := scan[target]
	h.touched[target] = true
	h.records, h.meddled = nil, true
	switch what := rapid.SampledFrom([]string{"write", "remove", "link", "mkdir", "chmod", "adoptable", "remove backup", "restage", "reregister"}).Draw(h.T, "somebody does"); what {
	case "write":
		h.put(target, line, at, false)
	case "link":
		h.put(target, line, at, true)
	case "remove":
		if line != "" && !isDir(line) {
			h.remove(target, at)
		}
	case "mkdir":
		if line == "" {
			h.mkdirs(target)
			h.dirs[target] = true
			h.put(target, "40755 0:0", at, false)
		}
	case "chmod":
		if isRegular(line) && !slices.Contains(at, target) {
			require.NoError(h, os.Chmod(h.root+target, 0o640))
		}
	case "adoptable":
		if line == "" {
			h.mkdirs(filepath.Dir(target))
			require.NoError(h, os.WriteFile(h.root+target, []byte("one"), 0o644))
			h.loose[target] = true
			h.taint(target)
		}
	case "remove backup":
		if aside := backupOf(target); scan[aside] != "" && !isDir(scan[aside]) {
			h.backups[target] = true
			h.remove(aside, at)
		}
	case "restage":
		things, _ := h.applied.things()
		for _, thing := range things {
			if staged := modelTrees + thing.staged; thing.target == target && isRegular(scan[staged]) {
				require.NoError(h, os.WriteFile(h.root+staged, []byte(h.unique()), 0o644))
			}
		}
	case "reregister":
		path := "/etc/op-dbus/plugins/" + rapid.SampledFrom([]string{"net", "systemd"}).Draw(h.T, "plugin") + ".toml"
		switch {
		case scan[path] == "":
		case rapid.Bool().Draw(h.T, "removed"):
			h.taint(path)
			require.NoError(h, os.Remove(h.root+path))
		default:
			require.NoError(h, os.WriteFile(h.root+path, []byte(h.unique()), 0o644))
		}
	}
}

func (h *modelHost) unique() string {
	h.serial++
	return fmt.Sprintf("somebody's %d", h.serial)
}

// put puts something of somebody's at a target: in a directory, a file in it.
func (h *modelHost) put(target, line string, at []string, link bool) {
	text := h.unique()
	h.mkdirs(filepath.Dir(target))
	if isDir(line) {
		target, line = target+"/"+strings.ReplaceAll(text, "'", "")[:10], ""
		if _, err := os.Lstat(h.root + target); err == nil {
			return
		}
	}
	h.taint(target)
	if line != "" && (link || !isRegular(line)) {
		h.remove(target, at)
	}
	delete(h.loose, target)
	if i := slices.Index(at, target); i >= 0 && isRegular(line) && !link {
		h.foreign = slices.Delete(h.foreign, i, i+1)
	}
	if link {
		require.NoError(h, os.Symlink(text, h.root+target))
		h.foreign = append(h.foreign, modelForeign{target, "-> " + text})
		return
	}
	require.NoError(h, os.WriteFile(h.root+target, []byte(text), 0o644))
	if !h.copied(target) || slices.Contains(at, target) {
		h.foreign = append(h.foreign, modelForeign{target, text})
	}
}

// copied says whether a target is a copy, which opdbus keeps equal to its file whoever edits it.
func (h *modelHost) copied(target string) bool {
	things, _ := h.applied.things()
	return slices.ContainsFunc(things, func(t modelThing) bool { return t.target == target && t.kind == "copy" })
}

func (h *modelHost) remove(path string, at []string) {
	h.taint(path) // what is gone already is forgotten, with what was made for it
	require.NoError(h, os.Remove(h.root+path))
	delete(h.loose, path)
	if i := slices.Index(at, path); i >= 0 {
		h.foreign = slices.Delete(h.foreign, i, i+1)
	}
}

// reachable says whether all that is above a path, as far as it is there, is a directory.
func (h *modelHost) reachable(path string) bool {
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(h.root + dir); err == nil && !info.IsDir() {
			return false
		}
	}
	return true
}

// mkdirs makes missing directories, which are somebody's then.
func (h *modelHost) mkdirs(dir string) {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(h.root + dir); err == nil {
			return
		}
		require.NoError(h, os.MkdirAll(h.root+filepath.Dir(dir), 0o755))
		require.NoError(h, os.MkdirAll(h.root+dir, 0o755))
		h.taint(dir + "/x")
	}
}

func (h *modelHost) taint(path string) {
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		h.tainted[dir] = true
	}
}
