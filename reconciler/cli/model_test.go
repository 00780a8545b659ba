package cli_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// TestModel walks at random: somebody edits the configuration, applies it, is in the way on the host; applies fail, are killed,
// are stale. After each step the host is what a model of it says, which knows what a configuration means and nothing of how that
// is done.
//
// A walk is known by its seed, and one that fails is made as short as it goes in a while. OPDBUS_TEST_SEEDS is how many walks
// begin at random beside the fixed ones, OPDBUS_TEST_SEED is the one to make again, and OPDBUS_TEST_SHRINK how long one that fails
// is made shorter.
func TestModel(t *testing.T) {
	t.Parallel()
	seeds := []uint64{5, 141, 142, 144, 146, 201, 202, 205, 318, 408}
	more := 0
	if s := os.Getenv("OPDBUS_TEST_SEEDS"); s != "" {
		var err error
		more, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	for range more {
		seeds = append(seeds, rand.Uint64())
	}
	if s := os.Getenv("OPDBUS_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{seed}
	}
	snapshottest.Need(t, "mkfs.btrfs", "mount", "umount")
	opdbus, err := program()
	require.NoError(t, err)
	steps := 0
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			setFlags(t, "rapid.seed", fmt.Sprint(seed), "rapid.checks", "1", "rapid.steps", "40", "rapid.nofailfile", "true", "rapid.shrinktime", cmp.Or(os.Getenv("OPDBUS_TEST_SHRINK"), "20s"))
			btrfs := snapshottest.Mount(t, 4096)
			defer func() {
				if t.Failed() {
					t.Logf("again: OPDBUS_TEST_SEED=%d go test ./reconciler/cli -run TestModel", seed)
				}
			}()
			rapid.Check(t, func(r *rapid.T) {
				steps += walkModel(newModelHost(r, t, opdbus, btrfs), true)
			})
		})
	}
	t.Logf("%d steps", steps)
}

// setFlags sets flags of rapid until the test ends.
func setFlags(t *testing.T, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		f := flag.Lookup(pairs[i])
		was := f.Value.String()
		require.NoError(t, f.Value.Set(pairs[i+1]))
		t.Cleanup(func() { _ = f.Value.Set(was) })
	}
}

// walkModel makes the steps of a walk and says how many.
func walkModel(h *modelHost, kills bool) (steps int) {
	draft := h.applied.clone()
	actions := map[string]func(*rapid.T){
		"apply": func(t *rapid.T) {
			draft = draft.edit(t)
			h.apply(draft)
		},
		"again":    func(*rapid.T) { h.apply(draft) },
		"plan":     func(*rapid.T) { h.plan(draft) },
		"somebody": func(*rapid.T) { h.somebody() },
		"fail": func(t *rapid.T) {
			draft = draft.edit(t)
			h.fail(draft)
		},
		"partly": func(t *rapid.T) {
			draft = draft.edit(t)
			h.partly(draft)
		},
		"stale": func(t *rapid.T) {
			saved := draft.edit(t)
			draft = draft.edit(t)
			h.stale(saved, draft)
		},
		"destroy":  func(*rapid.T) { h.destroy(draft) },
		"undo":     h.undo,
		"restore":  h.restore,
		"rollback": h.rollback,
	}
	if kills {
		actions["kill"] = func(t *rapid.T) {
			draft = draft.edit(t)
			h.kill(draft, rapid.IntRange(1, 300).Draw(t, "at"))
		}
	}
	actions[""] = func(*rapid.T) {
		steps++
		h.locate(h.scan())
		h.said.WriteString(h.past())
	}
	h.Repeat(actions)
	h.rollbackAll()
	return steps
}

// apply applies a configuration. It succeeds, and the host is as it says and stays so, or it is refused because something of
// somebody's is in the way, and nothing has changed.
func (h *modelHost) apply(c modelConfig) {
	h.write(c)
	before := h.scan()
	after := h.before()
	code, out := h.run("apply", "--auto-approve", "c")
	after()
	h.applyEnded(c, before, code, out)
}

func (h *modelHost) applyEnded(c modelConfig, before map[string]string, code int, out string) {
	at := h.locate(before)
	if c.tangled() {
		require.Equal(h, 1, code, "%s", out)
		require.Contains(h, out, "The directory is made too late")
		require.Equal(h, treeOf(before), h.tree(), "an apply that was refused changed something")
		return
	}
	may, must := h.conflicts(c, before, at)
	if code == 1 {
		require.True(h, may, "nothing is in the way:\n%s", out)
		assert.Contains(h, out, "Conflict", "what is in the way is a conflict")
		require.Equal(h, treeOf(before), h.tree(), "an apply that was refused changed something")
		return
	}
	require.Zero(h, code, "an apply fails:\n%s", out)
	require.Empty(h, must, "an apply goes over something of somebody's")
	h.applied = c.clone()
	h.quiet(at)
}

// quiet is what the host is like after an apply.
func (h *modelHost) quiet(was []string) {
	clear(h.touched)
	h.check(was)
	assert.Contains(h, h.must("plan", "c"), "No changes.", "a plan after an apply is empty")
	assert.Contains(h, h.must("drift"), "No drift", "nothing has drifted after an apply")
}

// write writes a configuration that is to be applied.
func (h *modelHost) write(c modelConfig) {
	c.write(h, filepath.Join(h.dir, "c"))
}

// conflicts says whether something may be in the way of a configuration, and what must be.
func (h *modelHost) conflicts(c modelConfig, scan map[string]string, at []string) (may bool, must []string) {
	things, _ := c.things()
	applied, _ := h.applied.things()
	for _, thing := range things {
		_, stands := scan[thing.target]
		may = may || handedOn(applied, things, thing) || stands && moves(applied, thing) || givesUp(applied, things, thing)
		was := ""
		if i := slices.IndexFunc(applied, func(t modelThing) bool { return t.target == thing.target }); i >= 0 {
			was = applied[i].kind
		}
		for path := range h.loose {
			may = may || scan[path] != "" && strings.HasPrefix(thing.target, path+"/")
		}
		line := scan[thing.target]
		for _, place := range at {
			switch {
			case place == thing.target && thing.kind == "copy-if-not-exists" && isRegular(line):
			case place == thing.target:
				may = true
				if thing.conflict != "backup" && thing.kind != "copy-if-not-exists" {
					must = append(must, place)
				}
			case strings.HasPrefix(thing.target, place+"/"), strings.HasPrefix(place, thing.target+"/") && thing.kind != "directory":
				may = true
			}
		}
		_, aside := scan[backupOf(thing.target)]
		may = may || h.loose[thing.target] && line != "" || isDir(line) && (thing.kind != "directory" || was != "directory") ||
			h.touched[thing.target] && (h.backups[thing.target] || aside)
	}
	return may, must
}

// moves says whether a thing is an object's that has another target.
func moves(applied []modelThing, thing modelThing) bool {
	return slices.ContainsFunc(applied, func(t modelThing) bool { return t.staged == thing.staged && t.target != thing.target })
}

// givesUp says whether a thing is a directory that goes elsewhere while something is to stand where it was.
func givesUp(applied, things []modelThing, thing modelThing) bool {
	i := slices.IndexFunc(applied, func(t modelThing) bool { return t.staged == thing.staged && t.target != thing.target })
	return i >= 0 && slices.ContainsFunc(things, func(t modelThing) bool { return strings.HasPrefix(t.target, applied[i].target+"/") })
}

// handedOn says whether a target is another object's, which goes on to another, or is to be an object's that had another.
func handedOn(applied, things []modelThing, thing modelThing) bool {
	i := slices.IndexFunc(applied, func(t modelThing) bool { return t.target == thing.target })
	if i < 0 || applied[i].staged == thing.staged {
		return false
	}
	return slices.ContainsFunc(things, func(t modelThing) bool { return t.staged == applied[i].staged }) ||
		slices.ContainsFunc(applied, func(t modelThing) bool { return t.staged == thing.staged })
}

// plan plans twice, and a copy of the configuration elsewhere: the same bytes, and nothing changes.
func (h *modelHost) plan(c modelConfig) {
	before := h.tree()
	c.write(h, filepath.Join(h.dir, "c"))
	c.write(h, filepath.Join(h.dir, "elsewhere"))
	code, first := h.run("plan", "--json", "c")
	if code != 0 {
		require.Equal(h, 1, code, first)
		return
	}
	require.Equal(h, first, h.must("plan", "--json", "c"), "a plan is made twice")
	require.Equal(h, first, h.must("plan", "--json", "elsewhere"), "a plan is made elsewhere")
	require.Equal(h, before, h.tree(), "a plan changes something")
	h.said.WriteString(first)
}

// stale saves a plan, applies another one, and then the saved one: that changes nothing.
func (h *modelHost) stale(saved, other modelConfig) {
	saved.write(h, filepath.Join(h.dir, "c"))
	file := filepath.Join(h.dir, "saved.plan")
	require.NoError(h, os.RemoveAll(file))
	if code, out := h.run("plan", "--out", file, "c"); code != 0 || strings.Contains(out, "No changes.") {
		return
	}
	before := h.lastRun()
	h.apply(other)
	if h.lastRun() == before {
		return
	}
	was := h.tree()
	code, out := h.run("apply", "--auto-approve", file)
	require.Equal(h, 4, code, out)
	require.Equal(h, was, h.tree(), "a stale plan changes something")
}

// failing is a configuration with a check that fails, and the stage that has it; ok is false where there is no stage.
func (h *modelHost) failing(c modelConfig) (failing modelConfig, stage string, ok bool) {
	var there []int
	for i, s := range c.stages {
		if _, trees := s.instances(); c.there(s) && len(trees) > 0 {
			there = append(there, i)
		}
	}
	if len(there) == 0 {
		return c, "", false
	}
	c = c.clone()
	s := &c.stages[rapid.SampledFrom(there).Draw(h.T, "failing")]
	h.checks++
	s.failing, s.version = true, fmt.Sprint("failing ", h.checks) // so that it changes, and is checked
	return c, s.name, true
}

// fail applies a configuration with a check that fails: the host is as before, and nobody applies that unattended again.
func (h *modelHost) fail(c modelConfig) {
	c, _, ok := h.failing(c)
	if !ok {
		return
	}
	h.write(c)
	before := h.scan()
	code, out := h.run("apply", "--auto-approve", "c")
	if code == 1 {
		h.applyEnded(c, before, code, out)
		return
	}
	require.Equal(h, 5, code, out)
	require.Equal(h, treeOf(before), h.tree(), "an apply that failed leaves the host as it was")
	code, out = h.run("apply", "--auto-approve", "c")
	require.Equal(h, 8, code, out)
	require.Equal(h, treeOf(before), h.tree(), "an apply that is held changes something")
}

// partly applies a configuration with a check that fails, and keeps what is complete, or all; then it is mended.
func (h *modelHost) partly(c modelConfig) {
	f, stage, ok := h.failing(c)
	before := h.scan()
	if may, _ := h.conflicts(c, before, h.locate(before)); !ok || may || c.tangled() {
		return
	}
	h.write(f)
	after, was := h.before(), h.past()
	if rapid.Bool().Draw(h.T, "stop") {
		code, out := h.run("apply", "--auto-approve", "--on-failure", "stop", "c")
		require.Equal(h, 3, code, out)
		h.must("undo", "--auto-approve")
		require.Equal(h, was, h.past(), "what a run left as it failed cannot be taken back")
		h.records = nil
	} else {
		code, out := h.run("apply", "--auto-approve", "--on-failure", "node", "c")
		require.Equal(h, 5, code, out)
		for _, tree := range []string{stage, stage + "@x", stage + "@y"} {
			require.Equal(h, below(was, modelTrees+tree), below(h.past(), modelTrees+tree), "the node that failed is not as it was")
		}
		after()
	}
	h.must("release")
	h.apply(c)
}

// kill kills an apply, and recovers: the host is as before or as after.
func (h *modelHost) kill(c modelConfig, at int) {
	h.write(c)
	before := h.scan()
	where := h.locate(before)
	after := h.before()
	o := afterLock(faulttest.Options{KillAt: at})
	cmd := h.command("apply", "--auto-approve", "--parallelism", "1", "c")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	r := faulttest.Run(h.outer, cmd, o)
	if !r.Hit {
		after()
		h.applyEnded(c, before, r.State.ExitCode(), out.String())
		return
	}
	h.Logf("killed at %s", faulttest.Trace(r.Calls[len(r.Calls)-1:]))
	h.must("recover")
	if h.tree() == treeOf(before) {
		return
	}
	after()
	h.applied = c.clone()
	h.quiet(where)
}

// destroy deletes everything that opdbus made.
func (h *modelHost) destroy(c modelConfig) {
	if c.tangled() {
		return // it is no configuration
	}
	c.write(h, filepath.Join(h.dir, "c"))
	was := h.locate(h.scan())
	after := h.before()
	h.must("destroy", "--auto-approve", "c")
	after()
	h.applied = newModelConfig()
	clear(h.touched)
	h.check(was)
	assert.Contains(h, h.must("drift"), "No drift: 0 objects")
}
