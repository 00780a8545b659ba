package reconciler

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	lives, err := run.unchanged(ctx, np)
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
	pre, err := run.take(begun, phaseBefore(np.Back), created, np.Changes, lives, rest.objects)
	if err != nil {
		return err
	}
	site.Earlier = []string{pre.Path}
	if np.Back != nil {
		err = run.goBack(ctx, site, np)
	} else {
		err = run.change(ctx, site, np.Changes)
	}
	if err != nil {
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
	done := journal.Done{Step: begun.Step}
	if np.Back == nil {
		post, err := run.take(begun, snapshot.Post, time.Now(), np.Changes, lives, rest.objects)
		if err != nil {
			return err
		}
		done.Post = post.Name
	}
	if err := run.own(begun); err != nil {
		return err
	}
	if np.Delete {
		if err := errors.Join(run.Host.Subvolumes.Delete(site.Dir), snapshot.Sync(run.Store.Dir())); err != nil {
			return err
		}
	}
	if err := run.journal.Append(journal.Record{Done: &done}); err != nil {
		return err
	}
	run.mu.Lock()
	run.done[begun.Step] = true
	run.mu.Unlock()
	return nil
}

func (run *run) site(node state.NodeAddr) state.Site {
	holders := sync.OnceValue(run.holders) // few steps have to know
	return state.Site{Node: node, Run: run.number, Dir: run.Store.NodeDir(node), Beside: run.Store.Beside(node),
		Holds: func(thing string) bool { return holders()[thing] }}
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
		lives, err := run.readChanges(ctx, changes, aim)
		if err != nil {
			return nil, err
		}
		var unsettled []string
		var first int
		for i, c := range changes {
			if !run.reached(c, c.After, lives[i]) {
				if len(unsettled) == 0 {
					first = i
				}
				unsettled = append(unsettled, c.Addr.String())
			}
		}
		if len(unsettled) == 0 {
			return lives, nil
		}
		if time.Now().Add(wait).After(deadline) {
			err := fmt.Errorf("%s was changed and is not as planned after %s", differences(unsettled), settleTime)
			if why := run.Kinds.For(changes[first].Addr).Explain(ctx, changes[first].After, lives[first]); why != "" {
				err = fmt.Errorf("%w: %s", err, why)
			}
			return nil, err
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
func (run *run) own(b journal.Begun) error {
	run.mu.Lock()
	defer run.mu.Unlock()
	if err := claim(run.ledger, b, run.number); err != nil {
		return err
	}
	run.ledger.Stamp(run.Version, run.MachineID, run.plan.Config, run.number)
	return run.ledger.Save(run.Store.Ledger())
}

// claim gives a ledger what a step has made, by its record alone: what is told by the journals is what the ledger was.
func claim(l *ledger.Ledger, b journal.Begun, run int) error {
	if b.Back != nil {
		return rewrite(l, b.Back.Owned)
	}
	for _, c := range b.Changes {
		if c.Origin != nil { // which may be of this node too
			l.Drop(c.Origin.Addr)
		}
	}
	l.Set(b.Node, &ledger.Node{DependsOn: b.Needs, Run: run, Objects: owned(l.Node(b.Node), b.Changes)})
	return nil
}

// owned is a node's entries after a step's changes.
func owned(before *ledger.Node, changes []journal.Change) []ledger.Entry {
	made := make(map[string]ledger.Entry, len(changes)) // a change's entry afterwards; without a value it goes
	for _, c := range changes {
		e := ledger.Entry{Object: c.Object, Sensitive: c.Sensitive}
		if !c.Forget {
			e.Made = c.After
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
	for _, c := range changes {
		keep(made[c.Object])
		delete(made, c.Object)
	}
	return entries
}
