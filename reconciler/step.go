package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/ledger"
	"github.com/opdbus/opdbus/state/snapshot"
)

// settleTime is how long a change may take to show on the host after the call that made it has returned.
const settleTime = 10 * time.Second

// step changes one node. The order of what it does is the argument for why no cut leaves the host in between: until
// `begun` is on disk nothing is touched; from then on the record and the pre snapshot hold all that taking back needs; the
// ledger claims a change only after it is on disk; and only then does `done` say that nothing is to be taken back.
func (run *run) step(ctx context.Context, np *state.NodePlan) error {
	lives, err := run.unchanged(ctx, np.Changes)
	if err != nil {
		return err
	}
	site := run.site(np.Addr)
	// What the node owns besides is read while the record is written.
	others := make(chan unchangedObjects, 1)
	go func() { others <- run.unchangedObjects(ctx, np) }()
	created := time.Now().UTC().Truncate(time.Second)
	begun, err := run.record(np, site, created)
	if err != nil {
		return err
	}
	if err := run.journal.Append(journal.Record{Begun: &begun}); err != nil {
		return err // nothing has been touched: there is no step to be taken back
	}
	run.mu.Lock()
	run.steps = append(run.steps, begun)
	run.beside = append(run.beside, site.Beside)
	run.mu.Unlock()
	if err := run.open(ctx, np, site); err != nil {
		return err
	}
	rest := <-others
	if rest.err != nil {
		return rest.err
	}
	pre, err := run.take(begun, snapshot.Pre, created, np.Changes, lives, rest.objects)
	if err != nil {
		return err
	}
	site.Earlier = []string{pre.Path}
	if err := run.change(ctx, site, np.Changes); err != nil {
		return err
	}
	lives, err = run.settle(ctx, np.Changes)
	if err != nil {
		return err
	}
	if err := run.checks(ctx, np); err != nil {
		return err
	}
	if err := run.sync(ctx, site, np.Changes); err != nil {
		return err
	}
	post, err := run.take(begun, snapshot.Post, time.Now(), np.Changes, lives, rest.objects)
	if err != nil {
		return err
	}
	if err := run.own(np, begun); err != nil {
		return err
	}
	if np.Delete {
		if err := errors.Join(run.Host.Subvolumes.Delete(site.Dir), snapshot.Sync(run.Store.Dir())); err != nil {
			return err
		}
	}
	if err := run.journal.Append(journal.Record{Done: &journal.Done{Step: begun.Step, Post: post.Name}}); err != nil {
		return err
	}
	run.mu.Lock()
	run.done[begun.Step] = true
	run.mu.Unlock()
	return nil
}

func (run *run) site(node state.NodeAddr) state.Site {
	return state.Site{Node: node, Run: run.number, Dir: run.Store.NodeDir(node), Beside: run.Store.Beside(node)}
}

// record makes the record of a step that begins, and gives it its number.
func (run *run) record(np *state.NodePlan, site state.Site, created time.Time) (journal.Begun, error) {
	b := journal.Begun{Node: np.Addr, Delete: np.Delete}
	var err error
	if b.Existed, err = exists(site.Dir); err != nil {
		return b, err
	}
	owned := run.ledger.Node(np.Addr)
	if owned != nil {
		b.DependsOn, b.NodeRun = owned.DependsOn, owned.Run
	}
	b.Changes = make([]journal.Change, 0, len(np.Changes))
	for _, c := range np.Changes {
		jc := journal.Change{Object: c.Addr.Local(), Forget: c.Forget, Sensitive: c.Sensitive}
		if jc.Before, err = encode(c.Before); err != nil {
			return b, err
		}
		if jc.After, err = encode(c.After); err != nil {
			return b, err
		}
		from := c.Addr
		if c.MadeAt != (state.Addr{}) {
			from = c.MadeAt
			jc.Origin = &journal.Origin{Addr: from}
			if n := run.ledger.Node(from.Node); n != nil {
				jc.Origin.DependsOn, jc.Origin.NodeRun = n.DependsOn, n.Run
			}
		}
		if e, at := run.ledger.Node(from.Node).Entry(from.Local()); e.Made != nil {
			jc.Made, jc.At = &e, at
		}
		b.Changes = append(b.Changes, jc)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.last++
	b.Step = run.last
	if b.Pre, err = snapshot.FreeName(run.Store.Snapshots(), snapshot.Pre, np.Addr.Dir(), created); err != nil {
		return b, err
	}
	return b, nil
}

// open makes the node's subvolume where there is none, and puts into it what the changes would otherwise destroy.
func (run *run) open(ctx context.Context, np *state.NodePlan, site state.Site) error {
	if there, err := exists(site.Dir); err != nil {
		return err
	} else if !there {
		if err := run.Host.Subvolumes.Create(site.Dir); err != nil {
			return err
		}
	}
	for _, b := range run.batches(np.Changes) {
		if err := b.kind.Save(ctx, site, b.changes); err != nil {
			return err
		}
	}
	return nil
}

// unchangedObjects are the live values of what the node owns and a step leaves alone: a snapshot is complete in itself.
type unchangedObjects struct {
	objects []snapshot.Object
	err     error
}

func (run *run) unchangedObjects(ctx context.Context, np *state.NodePlan) (u unchangedObjects) {
	owned := run.ledger.Node(np.Addr)
	if owned == nil {
		return u
	}
	changed := make(map[state.Addr]bool, len(np.Changes))
	for _, c := range np.Changes {
		changed[c.Addr] = true
	}
	addrs := make([]state.Addr, 0, len(owned.Objects))
	made := make([]state.Object, 0, len(owned.Objects))
	for _, e := range owned.Objects {
		a, err := state.ParseLocal(np.Addr, e.Object)
		if err != nil {
			return unchangedObjects{err: err}
		}
		if changed[a] {
			continue
		}
		kind, err := run.kind(a)
		if err != nil {
			return unchangedObjects{err: err}
		}
		m, err := kind.Decode(e.Made)
		if err != nil {
			return unchangedObjects{err: err}
		}
		addrs, made = append(addrs, a), append(made, m)
	}
	lives, err := run.read(ctx, addrs, made)
	if err != nil {
		return unchangedObjects{err: err}
	}
	u.objects, u.err = objects(addrs, lives)
	return u
}

// objects pairs addresses with live values, as a snapshot's record has them.
func objects(addrs []state.Addr, lives []state.Object) ([]snapshot.Object, error) {
	all := make([]snapshot.Object, len(addrs))
	for i, a := range addrs {
		live, err := encode(lives[i])
		if err != nil {
			return nil, err
		}
		all[i] = snapshot.Object{Addr: a, Live: live}
	}
	return all, nil
}

// take takes a snapshot of the node whose record has the live values of what the step changes, and of the rest.
func (run *run) take(b journal.Begun, phase snapshot.Phase, created time.Time, changes []state.Change, lives []state.Object, rest []snapshot.Object) (snapshot.Info, error) {
	addrs := make([]state.Addr, len(changes))
	for i, c := range changes {
		addrs[i] = c.Addr
	}
	changed, err := objects(addrs, lives)
	if err != nil {
		return snapshot.Info{}, err
	}
	changed = slices.Concat(changed, rest)
	return snapshot.Take(run.Host.Subvolumes, run.Store.Snapshots(), run.Store.NodeDir(b.Node), snapshot.Record{
		Head:    snapshot.Head{Run: run.number, Step: b.Step, Node: b.Node, Phase: phase, Plan: run.planned, Created: created, Existed: b.Existed},
		Objects: changed,
	})
}

// change makes the changes, batch by batch.
func (run *run) change(ctx context.Context, site state.Site, changes []state.Change) error {
	for _, b := range run.batches(changes) {
		if ctx.Err() != nil {
			return errStopped
		}
		if err := b.kind.Apply(ctx, site, b.changes); err != nil {
			return fmt.Errorf("%s: %w", site.Node, err)
		}
	}
	return nil
}

// settle reads back what was changed until it is as wanted, or the settle time ends.
func (run *run) settle(ctx context.Context, changes []state.Change) ([]state.Object, error) {
	deadline := time.Now().Add(settleTime)
	for wait := time.Millisecond; ; wait *= 2 {
		lives, err := run.readChanges(ctx, changes)
		if err != nil {
			return nil, err
		}
		var unsettled []string
		for i, c := range changes {
			if !run.reached(c, c.After, lives[i]) {
				unsettled = append(unsettled, c.Addr.String())
			}
		}
		if len(unsettled) == 0 {
			return lives, nil
		}
		if time.Now().Add(wait).After(deadline) {
			return nil, fmt.Errorf("%s was changed and is not as planned after %s", differences(unsettled), settleTime)
		}
		select {
		case <-ctx.Done():
			return nil, errStopped
		case <-time.After(wait):
		}
	}
}

// reached says whether live is what a change was to lead to. Where nothing is wanted, what is not ours does not count.
func (run *run) reached(c state.Change, want, live state.Object) bool {
	if want != nil || live == nil || c.Forget {
		return c.Forget || state.Same(live, want)
	}
	made := c.Before
	if made == nil {
		made = c.After
	}
	k := run.Kinds.For(c.Addr)
	return k.IsOwner() && !k.Owns(made, live)
}

// sync brings everything that the step wrote to disk.
func (run *run) sync(ctx context.Context, site state.Site, changes []state.Change) error {
	for _, b := range run.batches(changes) {
		if b.kind.InTree {
			continue // the store is synced below
		}
		if err := b.kind.Sync(ctx, site, b.changes); err != nil {
			return err
		}
	}
	return snapshot.Sync(run.Store.Dir())
}

// own writes what the step made into the ledger.
func (run *run) own(np *state.NodePlan, b journal.Begun) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	entries := owned(run.ledger.Node(np.Addr), np.Changes, b.Changes)
	for _, c := range np.Changes {
		if c.MadeAt != (state.Addr{}) {
			run.ledger.Drop(c.MadeAt)
		}
	}
	run.ledger.Set(np.Addr, &ledger.Node{DependsOn: np.DependsOn, Run: run.number, Objects: entries})
	run.ledger.Stamp(run.Version, run.MachineID, run.plan.Config, run.number)
	return run.ledger.Save(run.Store.Ledger())
}

// owned is a node's entries after its changes, whose values the step's record has as JSON already.
func owned(before *ledger.Node, changes []state.Change, recorded []journal.Change) []ledger.Entry {
	made := make(map[string]ledger.Entry, len(changes)) // a change's entry afterwards; without a value it goes
	for i, c := range changes {
		e := ledger.Entry{Object: recorded[i].Object, Sensitive: c.Sensitive}
		if !c.Forget {
			e.Made = recorded[i].After
		}
		made[e.Object] = e
	}
	var entries []ledger.Entry
	keep := func(e ledger.Entry) {
		if e.Made != nil {
			entries = append(entries, e)
		}
	}
	if before != nil {
		for _, e := range before.Objects {
			if now, changed := made[e.Object]; changed {
				delete(made, e.Object)
				e = now
			}
			keep(e)
		}
	}
	for _, c := range recorded {
		keep(made[c.Object])
		delete(made, c.Object)
	}
	return entries
}

func encode(o state.Object) (json.RawMessage, error) {
	if o == nil {
		return nil, nil
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", o.Key(), err)
	}
	return raw, nil
}
