package reconciler

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
	"github.com/opdbus/opdbus/state/store"
)

// A past is a store with the journals, the ledger and the snapshots' records of runs that never were.
type past struct {
	*Reconciler
	t       *testing.T
	rand    *rand.Rand
	now     time.Time
	nodes   []state.NodeAddr
	existed map[state.NodeAddr]bool
	pres    []string // of the snapshots that a rollback may go back to
}

func newPast(t *testing.T, seed uint64) *past {
	host := state.Host{Store: filepath.Join(t.TempDir(), "store")}
	p := &past{Reconciler: &Reconciler{Host: host, Store: store.LayoutOf(host)}, t: t, rand: rand.New(rand.NewPCG(seed, 0)),
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), existed: map[state.NodeAddr]bool{}}
	for _, dir := range []string{p.Store.JournalDir(), p.Store.Snapshots()} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	l := ledger.New()
	for i := range 2 + p.rand.IntN(4) {
		n := state.NodeAddr{Type: state.StageNode, Name: string(rune('a' + i))}
		node := &ledger.Node{Objects: []ledger.Entry{{Object: `file["x"]`, Made: json.RawMessage(`{}`)}}}
		for _, on := range p.nodes {
			if p.rand.IntN(4) == 0 {
				node.DependsOn = append(node.DependsOn, on)
			}
		}
		p.nodes = append(p.nodes, n)
		if p.rand.IntN(5) > 0 { // the others are gone by now
			l.Set(n, node)
		}
	}
	require.NoError(t, l.Save(p.Store.Ledger()))
	return p
}

// run makes a run; one that is open has no end.
func (p *past) run(number int, open bool) {
	p.now = p.now.Add(time.Duration(p.rand.IntN(60)-6) * time.Hour) // clocks go back at times
	records := []journal.Record{{Run: &journal.Run{Run: number, Steps: 9}}}
	rollback := p.rand.IntN(6) == 0
	for i, at := range p.rand.Perm(len(p.nodes))[:1+p.rand.IntN(len(p.nodes))] {
		n := p.nodes[at]
		b := journal.Begun{Step: i + 1, Node: n, Existed: p.existed[n], Changes: []journal.Change{{Object: `file["x"]`}}}
		phase := snapshot.Pre
		if rollback {
			phase, b.Back = snapshot.PreRollback, &state.Back{}
			if len(p.pres) > 0 {
				b.Back.Snapshot = p.pres[p.rand.IntN(len(p.pres))]
			}
		} else if p.rand.IntN(8) == 0 {
			b.Changes = append(b.Changes, journal.Change{Object: `file["y"]`, Origin: &journal.Origin{Addr: state.Addr{Node: p.nodes[p.rand.IntN(len(p.nodes))], Kind: "file", Key: "z"}}})
		}
		b.Pre = fmt.Sprintf("%s-%s-%d", phase, n.Name, number)
		records = append(records, journal.Record{Begun: &b})
		if !open && p.rand.IntN(8) == 0 { // it failed, alone
			records = append(records, journal.Record{Undone: &journal.Undone{Step: b.Step}})
			continue
		}
		p.existed[n] = !rollback || b.Back.Snapshot != ""
		p.snapshot(b.Pre, number, b.Step, n, phase)
		p.pres = append(p.pres, b.Pre)
		if open && p.rand.IntN(2) == 0 {
			break
		}
		done := journal.Done{Step: b.Step}
		if !rollback {
			done.Post = fmt.Sprintf("post-%s-%d", n.Name, number)
			p.snapshot(done.Post, number, b.Step, n, snapshot.Post)
		}
		records = append(records, journal.Record{Done: &done})
	}
	if !open {
		records = append(records, journal.Record{End: &journal.End{Outcome: journal.Applied}})
	}
	var lines []byte
	for _, r := range records {
		line, err := json.Marshal(r)
		require.NoError(p.t, err)
		lines = append(append(lines, line...), '\n')
	}
	require.NoError(p.t, os.WriteFile(journal.Path(p.Store.JournalDir(), number), lines, 0o600))
}

func (p *past) snapshot(name string, run, step int, n state.NodeAddr, phase snapshot.Phase) {
	head, err := json.Marshal(snapshot.Head{Version: 1, Run: run, Step: step, Node: n, Phase: phase, Created: p.now})
	require.NoError(p.t, err)
	path := snapshot.RecordPath(filepath.Join(p.Store.Snapshots(), name))
	require.NoError(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(p.t, os.WriteFile(path, append(head[:len(head)-1], `,"objects":[]}`...), 0o600))
}

// goesBackTo are the steps whose snapshots a rollback goes back to, by what really plans it.
func (p *past) goesBackTo(o RollbackOptions) map[state.Step]string {
	owned, err := ledger.Load(p.Store.Ledger())
	require.NoError(p.t, err)
	b := &back{Reconciler: p.Reconciler, owned: owned}
	if o.Node != (state.NodeAddr{}) {
		err = b.node(o)
	} else {
		err = b.everything(o)
	}
	require.NoError(p.t, err)
	first := map[state.NodeAddr]pastStep{}
	for _, s := range b.steps { // last first
		first[s.begun.Node] = s
	}
	to := map[state.Step]string{}
	for _, s := range first {
		to[s.Step] = s.begun.Pre
	}
	return to
}

// changed are the nodes that some run in effect changed.
func (p *past) changed() []state.NodeAddr {
	var nodes []state.NodeAddr
	for _, n := range p.nodes {
		if _, err := p.last(n); err == nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// TestRetention holds what is pruned of random histories, under random limits, against the rules one by one.
func TestRetention(t *testing.T) {
	pruned, kept := 0, 0
	for seed := range uint64(60) {
		p := newPast(t, seed)
		runs := 1 + p.rand.IntN(10)
		open := p.rand.IntN(4) == 0
		for n := 1; n <= runs; n++ {
			p.run(n, open && n == runs)
		}
		limits := state.SnapshotSettings{Keep: p.rand.IntN(runs + 1), KeepDays: p.rand.IntN(8)}
		all, err := p.Snapshots()
		require.NoError(t, err)
		victims, err := p.Prunable(limits, p.now)
		require.NoError(t, err)
		said := fmt.Sprintf("seed %d, limits %+v", seed, limits)
		gone := func(name string) bool {
			return slices.ContainsFunc(victims, func(i snapshot.Info) bool { return i.Name == name })
		}
		until := 0
		for _, v := range victims {
			until = max(until, v.Run)
		}
		pruned, kept = pruned+len(victims), kept+len(all)-len(victims)

		needed := map[state.Step]bool{}
		for _, n := range p.changed() {
			for step, pre := range p.goesBackTo(RollbackOptions{Node: n, Cascade: true}) {
				needed[step] = true
				assert.False(t, gone(pre), "%s: a rollback of %s goes back to %s", said, n, pre)
			}
		}
		named := map[string]bool{}
		if open {
			story, err := journal.Read(p.Store.JournalDir(), runs)
			require.NoError(t, err)
			for _, b := range story.Steps {
				named[b.Pre] = true
				if b.Back != nil {
					named[b.Back.Snapshot] = true
				}
			}
		}
		limit := kepts(all, limits, p.now)
		for _, i := range all {
			beyond := i.Run < limit
			spare := !needed[state.Step{Run: i.Run, Step: i.Step}] && !named[i.Name] && !(open && i.Run == runs)
			assert.Equal(t, beyond && spare, gone(i.Name), "%s: %s", said, i.Name)
			if i.Run > until && !beyond {
				for _, pre := range p.goesBackTo(RollbackOptions{Snapshot: i.Name}) {
					assert.False(t, gone(pre), "%s: restore %s goes back to %s", said, i.Name, pre)
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	assert.Positive(t, pruned)
	t.Logf("60 histories: %d snapshots pruned, %d kept", pruned, kept)
}

// kepts is the first run whose snapshots are kept by the limits, with those of all later runs.
func kepts(all []snapshot.Info, limits state.SnapshotSettings, now time.Time) int {
	youngest := map[int]time.Duration{} // of a run's snapshots
	for _, i := range all {
		age := now.Sub(i.Created)
		if have, seen := youngest[i.Run]; !seen || age < have {
			youngest[i.Run] = age
		}
	}
	runs := slices.Sorted(maps.Keys(youngest))
	for n, run := range runs {
		if limits.Keep > 0 && n < len(runs)-limits.Keep || limits.KeepDays > 0 && youngest[run] >= time.Duration(limits.KeepDays)*24*time.Hour {
			continue
		}
		return run
	}
	return math.MaxInt
}

func TestPrunable(t *testing.T) {
	some := func(t *testing.T) *past {
		p := newPast(t, 1)
		p.nodes = p.nodes[:1]
		for n := 1; n <= 5; n++ {
			p.rand = rand.New(rand.NewPCG(5, 5)) // each run the same
			p.run(n, false)
		}
		return p
	}
	names := func(t *testing.T, p *past, limits state.SnapshotSettings) (names []string) {
		victims, err := p.Prunable(limits, p.now)
		require.NoError(t, err)
		for _, v := range victims {
			names = append(names, v.Name)
		}
		return names
	}
	t.Run("a run whose journal cannot be read keeps its snapshots, and hides no others", func(t *testing.T) {
		p := some(t)
		require.Equal(t, []string{"pre-a-1", "post-a-1", "pre-a-2", "post-a-2", "pre-a-3", "post-a-3", "pre-a-4", "post-a-4"}, names(t, p, state.SnapshotSettings{Keep: 1}))
		require.NoError(t, os.WriteFile(journal.Path(p.Store.JournalDir(), 5), []byte("{\n{}\n"), 0o600))
		assert.Equal(t, []string{"pre-a-1", "post-a-1", "pre-a-2", "post-a-2", "pre-a-3", "post-a-3"}, names(t, p, state.SnapshotSettings{Keep: 1}),
			"what run 5 did is not known, so that rolling back goes back by run 4 for all that is known")
	})
	t.Run("one whose record cannot be read is kept", func(t *testing.T) {
		p := some(t)
		require.NoError(t, os.WriteFile(snapshot.RecordPath(filepath.Join(p.Store.Snapshots(), "pre-a-1")), nil, 0o600))
		assert.Equal(t, []string{"post-a-1", "pre-a-2", "post-a-2"}, names(t, p, state.SnapshotSettings{Keep: 3}))
	})
	t.Run("no limits keep all", func(t *testing.T) {
		assert.Empty(t, names(t, some(t), state.SnapshotSettings{}))
	})
}
