package cli_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/reconciler/faulttest"
	"github.com/opdbus/opdbus/state/snapshot/snapshottest"
)

// A walk makes configurations at random, one from the other: files come, change, move between nodes, are handed over, given up and go.
type walk struct {
	*rand.Rand
	owner   map[int]int // a file's node
	content map[int]int
	depends map[int][]int
}

const walkNodes, walkFiles = 4, 6

func newWalk(seed uint64) *walk {
	return &walk{Rand: rand.New(rand.NewPCG(seed, 0)), owner: map[int]int{}, content: map[int]int{}, depends: map[int][]int{}}
}

// next makes the next configuration. fails is the node whose check fails; -1: none.
func (w *walk) next(fails int) string {
	var b strings.Builder
	there := func() map[int]bool {
		nodes := map[int]bool{}
		for _, n := range w.owner {
			nodes[n] = true
		}
		return nodes
	}
	before := there()
	for range 1 + w.IntN(3) {
		f := w.IntN(walkFiles)
		from, had := w.owner[f]
		to := w.IntN(walkNodes + 2)
		switch {
		case to >= walkNodes:
			delete(w.owner, f)
			continue
		case had && from != to && w.IntN(2) == 0:
			fmt.Fprintf(&b, "moved {\n  from = \"stage.n%d.file[\\\"f%d\\\"]\"\n  to = \"stage.n%d.file[\\\"f%[2]d\\\"]\"\n}\n", from, f, to)
		}
		w.owner[f] = to
		w.content[f] = w.IntN(3)
	}
	w.depends[w.IntN(walkNodes)] = []int{w.IntN(walkNodes)}
	now := there()
	for n := range walkNodes {
		if before[n] && !now[n] && w.IntN(3) == 0 {
			fmt.Fprintf(&b, "removed {\n  from = \"stage.n%d\"\n  lifecycle { destroy = false }\n}\n", n)
		}
		if !now[n] {
			continue
		}
		fmt.Fprintf(&b, "stage \"n%d\" {\n  version = \"%d\"\n", n, w.IntN(2))
		var on []string
		for _, d := range w.depends[n] {
			if d < n && now[d] {
				on = append(on, fmt.Sprintf("%q", fmt.Sprintf("n%d", d)))
			}
		}
		fmt.Fprintf(&b, "  dependencies = [%s]\n", strings.Join(on, ", "))
		for f := range walkFiles {
			if o, ok := w.owner[f]; ok && o == n {
				kind := []string{"symlink", "copy"}[f%2]
				fmt.Fprintf(&b, "  file \"f%d\" {\n    target = \"/etc/f%[1]d\"\n    type = %q\n    content = \"<%d&>\"\n    on_conflict = \"backup\"\n  }\n", f, kind, w.content[f])
			}
		}
		if n == fails {
			b.WriteString("  verify \"never\" {\n    command = [\"false\"]\n  }\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// command is what is done with the next configuration, or with former runs.
func (w *walk) command(configure func(string)) []string {
	switch w.IntN(10) {
	case 0:
		return []string{"undo", "--auto-approve"}
	case 1:
		return []string{"rollback", fmt.Sprintf("n%d", w.IntN(walkNodes)), "--cascade", "--auto-approve"}
	case 2:
		if w.IntN(3) == 0 {
			return []string{"rollback", "--all", "--auto-approve"}
		}
		return []string{"destroy", "--auto-approve", "walk"}
	case 3, 4, 5:
		configure(w.next(w.IntN(walkNodes)))
		return []string{"apply", "--auto-approve", "--on-failure", []string{"rollback", "node", "stop"}[w.IntN(3)], "walk"}
	case 6:
		return []string{"apply", "--auto-approve", "--replace", fmt.Sprintf("stage.n%d", w.IntN(walkNodes)), "walk"}
	}
	configure(w.next(-1))
	return []string{"apply", "--auto-approve", "walk"}
}

// TestFsckLedger walks at random and loses the ledger after each run: what is made anew from the journals is the same, byte for byte, and
// nothing else is found to be wrong.
func TestFsckLedger(t *testing.T) {
	t.Parallel()
	steps := 20
	if testing.Short() {
		steps = 8
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := newWorld(t, 256)
			walk := newWalk(seed)
			w.config("walk", "main.hcl", walk.next(-1))
			w.must("init")
			path := filepath.Join(w.root, "var/lib/op-dbus/state/ledger.json")
			codes := map[int]int{}
			for n := range steps {
				command := walk.command(func(config string) { w.config("walk", "main.hcl", config) })
				w.run("release")
				code, out := w.run(command...)
				codes[code]++
				said := fmt.Sprintf("step %d, %v, exit code %d: %s", n, command, code, out)
				code, found := w.run("fsck")
				require.Zero(t, code, "%s\n%s", said, found)
				require.Contains(t, found, ": nothing is wrong.", said)
				ledger, err := os.ReadFile(path)
				if err != nil {
					continue // nothing was owned yet
				}
				damaged := slices.Clone(ledger[:walk.IntN(len(ledger)-1)])
				require.NoError(t, os.WriteFile(path, damaged, 0o600))
				w.must("fsck", "--repair")
				again, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, string(ledger), string(again), said)
				require.NoError(t, os.Remove(path+".damaged-1"))
			}
			t.Logf("exit codes of %d commands: %v", steps, codes)
			assert.Positive(t, codes[0])
			assert.Greater(t, steps, codes[0], "some failed")
		})
	}
}

// damage does something to the store at random that no run of opdbus does, and says what.
func damage(w *world, r *rand.Rand) string {
	store := filepath.Join(w.root, "var/lib/op-dbus")
	var files, subvolumes []string
	for _, pattern := range []string{"state/*", "state/journal/*", "state/index/*"} {
		found, err := filepath.Glob(filepath.Join(store, pattern))
		require.NoError(w, err)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && filepath.Base(path) != "lock" {
				files = append(files, path)
			}
		}
	}
	for _, pattern := range []string{"staging/[^s]*", "staging/snapshots/*"} {
		found, err := filepath.Glob(filepath.Join(store, pattern))
		require.NoError(w, err)
		subvolumes = append(subvolumes, found...)
	}
	if r.IntN(3) == 0 {
		path := subvolumes[r.IntN(len(subvolumes))]
		switch r.IntN(3) {
		case 0:
			w.sh("btrfs -q subvolume delete %s", path)
			return "deleted " + path
		case 1:
			w.sh("btrfs -q property set %s ro false; head -c %d %s/.opdbus/snapshot.json > half; cat half > %[1]s/.opdbus/snapshot.json", path, r.IntN(200), path)
			return "cut the record of " + path
		}
		w.sh("btrfs -q subvolume snapshot %s %s-back", path, path)
		return "copied " + path
	}
	path := files[r.IntN(len(files))]
	data, err := os.ReadFile(path)
	require.NoError(w, err)
	what := "emptied "
	switch at := r.IntN(max(len(data), 1)); r.IntN(5) {
	case 0:
		require.NoError(w, os.Remove(path))
		return "removed " + path
	case 1:
		data, what = data[:min(at, len(data))], fmt.Sprintf("cut at %d ", at)
	case 2:
		data, what = append(data, data[min(at, len(data)):]...), fmt.Sprintf("repeated from %d ", at)
	case 3:
		if len(data) > 0 {
			data[at] ^= 1 << r.IntN(8)
		}
		what = fmt.Sprintf("changed at %d ", at)
	default:
		data = nil
	}
	require.NoError(w, os.WriteFile(path, data, 0o600))
	return what + path
}

// TestFsckDamage damages a store at random. Whatever it is, fsck says it, repairing comes to an end, after which it would mend nothing
// more, and what is not mended says what a person can do. No command breaks down over it.
func TestFsckDamage(t *testing.T) {
	t.Parallel()
	snapshottest.Need(t, "btrfs")
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	base := applied(t)
	base.must(apply()...)
	base.must(undo()...)
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := base.fork(t)
			r := rand.New(rand.NewPCG(seed, 1))
			var said strings.Builder
			for range 1 + r.IntN(3) {
				said.WriteString(damage(w, r) + "\n")
			}
			for _, command := range [][]string{{"fsck"}, {"fsck", "--repair"}, {"fsck"}, {"doctor"}, {"history"}, {"snapshots"}, {"show", "2"}, {"rollback", "--all", "--auto-approve"}, {"recover"}, apply()} {
				code, out := w.run(command...)
				fmt.Fprintf(&said, "%v: exit code %d: %s\n", command, code, out)
				require.NotContains(t, out, "panic:", said.String())
				require.NotContains(t, out, "goroutine ", said.String())
				require.NotContains(t, out, "not repaired", said.String())
			}
			_, again, _ := strings.Cut(said.String(), "[fsck --repair]: ")
			_, again, _ = strings.Cut(again, "[fsck]: ")
			again, _, _ = strings.Cut(again, "[doctor]: ")
			assert.NotContains(t, again, "with --repair, it", said.String())
			for finding := range strings.SplitSeq("\n"+again, "\nproblem ") {
				if finding != again && strings.Contains(finding, "\n") && !strings.HasPrefix(finding, "\n") && !strings.Contains(finding, "exit code") {
					assert.Contains(t, finding, "\n  remedy: ", said.String())
				}
			}
		})
	}
}

// TestKillFsck kills a repair at each of its system calls that change something. The next one comes to the same.
func TestKillFsck(t *testing.T) {
	t.Parallel()
	snapshottest.Need(t, "btrfs")
	points := 0
	for _, c := range []struct {
		name, damage string
	}{
		{"with all journals", `truncate -s 100 state/ledger.json; chmod 755 state; printf '{"beg' >> state/journal/1.jsonl
			btrfs -q subvolume create staging/.app.beside; btrfs -q subvolume create staging/gone; touch state/.held.json.new`},
		{"without", `echo x > state/pruning.json; echo x > state/journal/1.jsonl; rm state/journal/2.jsonl`},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := applied(t)
			base.must(apply()...)
			base.sh("cd %s; "+c.damage, filepath.Join(base.root, "var/lib/op-dbus"))
			repair := []string{"fsck", "--repair"}
			whole := base.fork(t)
			r := faulttest.Run(t, whole.command(repair...), afterLock(faulttest.Options{}))
			require.True(t, r.State.Success())
			want := whole.state()
			require.NotContains(t, whole.must("fsck"), "with --repair", "all is mended that can be")
			whole.unmount()
			for n := 1; n <= r.Count; n += every(t, 2) {
				w := base.fork(t)
				killed := faulttest.Run(t, w.command(repair...), afterLock(faulttest.Options{KillAt: n}))
				require.True(t, killed.Hit)
				out := w.must(repair...)
				assert.Equal(t, want, w.state(), "killed at %s; the next said: %s", faulttest.Trace(killed.Calls[len(killed.Calls)-1:]), out)
				w.unmount()
				points++
			}
		})
	}
	t.Logf("killed at %d points of a repair", points)
}
