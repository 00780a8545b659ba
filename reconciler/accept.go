package reconciler

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opdbus/opdbus/state"
	"github.com/opdbus/opdbus/state/ledger"
)

// An Accepted object drifted, and is to be wanted as it is live.
type Accepted struct {
	Addr state.Addr
	// Acceptance is what the configuration has to say for that. Its Block is always set, and its files are in the configuration's
	// directory. It is empty where the configuration says it already.
	state.Acceptance
}

// Accept says what a prepared configuration has to say so that what drifted of the targets, or of all that is owned, is wanted
// as it is live. What it cannot say are diagnostics, all of them at once. It changes nothing.
func (r *Reconciler) Accept(ctx context.Context, config *state.Config, owned *ledger.Ledger, targets []state.Addr) ([]Accepted, state.Diagnostics, error) {
	objects, err := r.Owned(ctx, owned, targets)
	if err != nil {
		return nil, nil, err
	}
	objects = slices.DeleteFunc(objects, func(o Owned) bool { return !o.Drifted() })
	var diags state.Diagnostics
	var declared []*state.Declared
	var drifted []Owned
	for _, o := range objects {
		node := config.Node(o.Addr.Node)
		d := declaredAt(node, o.Addr)
		switch {
		case d == nil && node == nil:
			diags.Errorf(state.Range{}, "Cannot accept "+o.Addr.String(), "The configuration in %s does not declare it: the next apply deletes it.", config.Dir)
		case d == nil:
			diags.Errorf(node.Source, "Cannot accept "+o.Addr.String(), "%s does not declare it any more: the next apply deletes it.", o.Addr.Node)
		case o.Live == nil:
			diags.Errorf(d.Source, "Cannot accept "+o.Addr.String(), "It is missing on the host. opdbus apply puts it back; if it is not to be there, take it out of the configuration at %s.", place(d.Source))
		default:
			drifted, declared = append(drifted, o), append(declared, d)
		}
	}
	lives, err := r.readDeclared(ctx, declared)
	if err != nil {
		return nil, nil, err
	}
	var accepted []Accepted
	for i, d := range declared {
		a, err := r.accept(ctx, config, d, lives[i], union(d.Sensitive, drifted[i].Sensitive))
		if err != nil {
			diags.Errorf(d.Source, "Cannot accept "+d.Addr.String(), "What is on the host cannot be written into the configuration at %s: %s.", place(d.Source), err)
			continue
		}
		accepted = append(accepted, a)
	}
	return accepted, diags, nil
}

// readDeclared reads what is live as it is declared: an attribute that a block leaves out is not its business.
func (r *Reconciler) readDeclared(ctx context.Context, declared []*state.Declared) ([]state.Object, error) {
	addrs := make([]state.Addr, len(declared))
	wants := make([]state.Object, len(declared))
	for i, d := range declared {
		addrs[i], wants[i] = d.Addr, d.Object
	}
	return r.read(ctx, addrs, wants)
}

// accept is what has to be written for one object.
func (r *Reconciler) accept(ctx context.Context, config *state.Config, d *state.Declared, live state.Object, secret []string) (Accepted, error) {
	accepted := Accepted{Addr: d.Addr}
	if state.Same(live, d.Object) {
		return accepted, nil
	}
	if live == nil {
		return accepted, errors.New("it is not where the configuration wants it; opdbus apply puts it there")
	}
	differences, err := state.Change{Before: d.Object, After: live, Sensitive: secret}.Differences(nil)
	if err != nil {
		return accepted, err
	}
	for _, difference := range differences {
		if difference.Sensitive {
			return accepted, fmt.Errorf("its %s is sensitive, and a secret is never written into a configuration; set it by hand where it comes from", difference.Name)
		}
	}
	kind, err := r.kind(d.Addr)
	if err != nil {
		return accepted, err
	}
	if accepted.Acceptance, err = kind.Accept(ctx, config.Node(d.Addr.Node), d.Addr, d.Object, live); err != nil {
		return accepted, err
	}
	if accepted.Block == (state.Range{}) {
		accepted.Block = d.Source
	}
	for _, w := range accepted.Write {
		if rel, err := filepath.Rel(config.Dir, w.Path); err != nil || !filepath.IsLocal(rel) {
			return accepted, fmt.Errorf("its content comes from %s, which is not in the configuration's directory; change it there by hand", w.Path)
		}
	}
	return accepted, nil
}

// Unaccepted says why a configuration into which all that was accepted has been written is not to be: before and after are the
// plans without and with it. An object that was accepted may not change on the host any more, and nothing else may that did
// not before, but for what is staged.
func (r *Reconciler) Unaccepted(accepted []Accepted, before, after *state.Plan) state.Diagnostics {
	at := make(map[state.Addr]state.Range, len(accepted))
	for _, a := range accepted {
		at[a.Addr] = a.Block
	}
	planned := map[state.Addr]state.Change{}
	for _, n := range before.Nodes {
		for _, c := range n.Changes {
			planned[c.Addr] = c
		}
	}
	var diags state.Diagnostics
	for _, n := range after.Nodes {
		for _, c := range n.Changes {
			if action := c.Action(); action == state.Adopt || action == state.None {
				continue
			}
			block, asked := at[c.Addr]
			kind := r.Kinds.For(c.Addr)
			switch was, known := planned[c.Addr]; {
			case asked:
				diags.Errorf(block, "Cannot accept "+c.Addr.String(), "After the edit at %s opdbus would still change its %s. Nothing was written; change the configuration by hand.", place(block), names(c))
			case kind != nil && kind.InTree, known && state.Same(was.After, c.After) && was.Action() == c.Action():
			default:
				diags.Errorf(c.Source, "Cannot accept that alone", "The edit would also change %s: its %s. Nothing was written; change the configuration by hand.", c.Addr, names(c))
			}
		}
	}
	return diags
}

// names are the attributes that a change changes.
func names(c state.Change) string { return strings.TrimSuffix(differing(c), " differ") }

// declaredAt finds what a node declares at an address; nil when it declares nothing there.
func declaredAt(node *state.Node, a state.Addr) *state.Declared {
	if node == nil {
		return nil
	}
	for i := range node.Objects {
		if node.Objects[i].Addr == a {
			return &node.Objects[i]
		}
	}
	return nil
}

// place is a place in one word: file and line.
func place(r state.Range) string {
	return strings.TrimSuffix(fmt.Sprintf("%s:%d", r.File, r.Line), ":0")
}
