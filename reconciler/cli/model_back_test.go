package cli_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/reconciler/faulttest"
)

// A modelRecord is what was before a run: the host, and what the model knew of it.
type modelRecord struct {
	run int
	modelKnown
	tree string
}

// A modelKnown is what the model knows of the host besides what it can see.
type modelKnown struct {
	applied modelConfig     // what the host is like
	foreign []modelForeign  // what somebody put there and nobody else may lose
	loose   map[string]bool // where somebody put something that opdbus may adopt, and so delete
	dirs    map[string]bool // directories of somebody's
	touched map[string]bool // targets that somebody changed since the last apply
}

func (k modelKnown) clone() modelKnown {
	return modelKnown{k.applied.clone(), slices.Clone(k.foreign), maps.Clone(k.loose), maps.Clone(k.dirs), maps.Clone(k.touched)}
}

// before notes what is before a run, and returns what has to be called after it.
func (h *modelHost) before() (after func()) {
	r := modelRecord{modelKnown: h.modelKnown.clone(), tree: h.past()}
	was := h.lastRun()
	return func() {
		if r.run = h.lastRun(); r.run != was {
			h.records = append(h.records, r)
		}
	}
}

// lastRun is the last run that changed what is owned.
func (h *modelHost) lastRun() int {
	var head struct {
		Run int `json:"run"`
	}
	data, err := os.ReadFile(filepath.Join(h.root, modelStore, "state/ledger.json"))
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(h, err)
	require.NoError(h, json.Unmarshal(data, &head))
	return head.Run
}

// past is what a rollback gives back of the host.
func (h *modelHost) past() string { return pastOf(h.scan()) }

// pastOf is what a rollback gives back: all but the snapshots, and what the ledger says of itself.
func pastOf(scan map[string]string) string {
	for path, line := range scan {
		switch {
		case strings.HasPrefix(path, modelTrees+"snapshots/"):
			delete(scan, path)
		case filepath.Base(path) == "ledger.json":
			scan[path] = regexp.MustCompile(`\{.*?"nodes`).ReplaceAllString(content(line), `{"nodes`)
			if scan[path] == "{\"nodes\":{}}\n" {
				delete(scan, path)
			}
		}
	}
	return treeOf(scan)
}

// wentBack makes the model know what it knew at a record.
func (h *modelHost) wentBack(to modelRecord) {
	require.Equal(h, to.tree, h.past(), "going back to before run %d does not give back what was there", to.run)
	h.modelKnown = to.modelKnown.clone()
	h.must("release")
}

// undo takes back the last run, and may be killed: then it is as if it had not been, or as if nothing had killed it.
func (h *modelHost) undo(t *rapid.T) {
	if len(h.records) == 0 {
		return
	}
	to, now := h.records[len(h.records)-1], h.past()
	after := h.before()
	if at := rapid.IntRange(0, 150).Draw(t, "killed at"); at > 0 && rapid.Bool().Draw(t, "killed") {
		o := afterLock(faulttest.Options{KillAt: at})
		cmd := h.command("undo", "--auto-approve")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		r := faulttest.Run(h.outer, cmd, o)
		if r.Hit {
			h.must("recover")
		} else {
			require.True(h, r.State.Success(), "%s", &out)
		}
		if h.past() == now {
			return
		}
	} else {
		h.must("undo", "--auto-approve")
	}
	after()
	h.wentBack(to)
}

type modelSnapshot struct {
	Name, Phase string
	Run, Step   int
}

// restore goes back to the snapshot that a run began with.
func (h *modelHost) restore(t *rapid.T) {
	if len(h.records) == 0 {
		return
	}
	to := rapid.SampledFrom(h.records).Draw(t, "to")
	var snapshots []modelSnapshot
	require.NoError(h, json.Unmarshal([]byte(h.must("snapshots", "--json")), &snapshots))
	first := slices.IndexFunc(snapshots, func(s modelSnapshot) bool { return s.Run == to.run && s.Phase != "post" })
	require.GreaterOrEqual(h, first, 0, "run %d has no snapshot", to.run)
	for i, s := range snapshots { // steps that were taken back have none
		if s.Run == to.run && s.Phase != "post" && s.Step < snapshots[first].Step {
			first = i
		}
	}
	after := h.before()
	h.must("restore", "--auto-approve", snapshots[first].Name)
	after()
	h.wentBack(to)
}

// rollback takes back what the last run did to a node, and with it what cannot stay without it; and then takes that back.
func (h *modelHost) rollback(t *rapid.T) {
	if len(h.records) == 0 {
		return
	}
	to, now, known := h.records[len(h.records)-1], h.past(), h.modelKnown.clone()
	_, trees := h.applied.things()
	if len(trees) == 0 {
		return
	}
	tree := rapid.SampledFrom(trees).Draw(t, "node")
	node := "stage." + tree
	if name, key, each := strings.Cut(tree, "@"); each {
		node = "stage." + name + `["` + key + `"]`
	} else if strings.HasPrefix(tree, "plugin.") {
		node = tree
	}
	before := h.lastRun()
	code, out := h.run("rollback", node, "--auto-approve")
	if code != 0 && strings.Contains(out, "--cascade") {
		require.Equal(h, now, h.past(), "a rollback that was refused changed something")
		code, out = h.run("rollback", node, "--auto-approve", "--cascade")
	}
	if code != 0 {
		assert.Equal(h, 1, code, out)
		assert.Regexp(h, "would both own|take back what removed that first|in the way of going back", out)
		require.Equal(h, now, h.past(), "a rollback that was refused changed something")
		return
	}
	if h.lastRun() == before {
		return // nothing to be taken back
	}
	if strings.Contains(out, node+" ") && before == to.run && strings.Contains(now, modelTrees+tree+" ") && strings.Contains(out, "to before run "+strconv.Itoa(to.run)+".") {
		assert.Equal(h, below(to.tree, modelTrees+tree), below(h.past(), modelTrees+tree), "%s is not as it was before run %d", node, to.run)
	}
	h.locate(h.scan())
	h.must("undo", "--auto-approve")
	h.must("release")
	require.Equal(h, now, h.past(), "a rollback that is taken back does not give back what was there")
	h.modelKnown = known
	h.records = nil
}

// below are the lines of a tree that are about a directory and what is in it.
func below(tree, dir string) string {
	var lines strings.Builder
	for line := range strings.Lines(tree) {
		if strings.HasPrefix(line, dir+" ") || strings.HasPrefix(line, dir+"/") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// rollbackAll takes back everything, unless something of somebody's is in the way.
func (h *modelHost) rollbackAll() {
	if h.lastRun() == 0 {
		return
	}
	was, now := h.locate(h.scan()), h.past()
	code, out := h.run("rollback", "--all", "--auto-approve")
	if code != 0 {
		assert.Regexp(h, "in the way of going back|is in none of", out) // what somebody removed of theirs cannot be put back
		require.True(h, h.meddled, "nothing is in the way of going back: %s", out)
		require.Equal(h, now, h.past(), "a rollback that was refused changed something")
		return
	}
	h.applied = newModelConfig()
	clear(h.touched)
	h.check(was)
	assert.Contains(h, h.must("drift"), "No drift: 0 objects")
	if !h.meddled {
		assert.Equal(h, h.first, h.past(), "the host is not as it was at first")
	}
}
