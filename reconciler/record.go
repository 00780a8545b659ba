package reconciler

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/journal"
	"github.com/opdbus/opdbus/state/snapshot"
)

// record makes the record of a step that begins, and gives it its number.
func (run *run) record(np *state.NodePlan, site state.Site, created time.Time) (journal.Begun, error) {
	b := journal.Begun{Node: np.Addr, Delete: np.Delete, Needs: np.DependsOn, Back: np.Back}
	var err error
	if b.Existed, err = exists(site.Dir); err != nil {
		return b, err
	}
	owned := run.ledger.Node(np.Addr)
	if owned != nil {
		b.DependsOn, b.NodeRun = owned.DependsOn, owned.Run
	}
	if np.Back != nil {
		for _, o := range np.Back.Owned {
			was := state.Ownership{Node: o.Node}
			if was.Owned, err = run.ledger.Written(o.Node); err != nil {
				return b, err
			}
			b.Was = append(b.Was, was)
		}
	}
	b.Changes = make([]journal.Change, 0, len(np.Changes))
	for _, c := range np.Changes {
		jc := journal.Change{Object: c.Addr.Local(), Forget: c.Forget, Replace: c.Replace, Trigger: c.Trigger, Sensitive: c.Sensitive}
		if jc.Before, err = encode(c.Before); err != nil {
			return b, err
		}
		if jc.After, err = encode(c.After); err != nil {
			return b, err
		}
		if c.HandsTo != (state.Addr{}) {
			jc.HandsTo = &c.HandsTo
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
	if b.Pre, err = snapshot.FreeName(run.Store.Snapshots(), phaseBefore(np.Back), np.Addr.Dir(), created); err != nil {
		return b, err
	}
	return b, nil
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
		if run.leftOut(kind) {
			continue
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
