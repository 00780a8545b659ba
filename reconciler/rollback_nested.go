package reconciler

import (
	"iter"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// A nesting is a pair of steps of two nodes: the first made a directory and the second put something into it, or the first took
// something out of a directory and the second deleted that. The first cannot be taken back without the second.
type nesting struct {
	node, with state.NodeAddr
	at, later  state.Step
	why        string
}

type nestings []nesting

// nested finds the nestings among steps, which are given last first.
func (b *back) nested(since []pastStep) (nestings, error) {
	type place struct {
		node state.NodeAddr
		at   state.Step
	}
	var found nestings
	deleted := map[string]place{}  // the first of the later steps that deleted a thing
	inside := map[string][]place{} // the later steps that made something in a thing
	known := map[string]bool{}     // the things of which a later step is known
	seen := map[state.NodeAddr]bool{}
	for _, s := range since {
		seen[s.begun.Node] = true
	}
	if len(seen) < 2 {
		return nil, nil
	}
	for _, s := range since {
		here := place{s.begun.Node, s.Step}
		for _, jc := range s.begun.Changes {
			a, err := state.ParseLocal(s.begun.Node, jc.Object)
			if err != nil {
				return nil, err
			}
			kind := b.Kinds.For(a)
			if jc.Forget || kind == nil || kind.InTree {
				continue
			}
			was, err := thingIn(kind, jc.Before)
			if err != nil {
				return nil, err
			}
			is, err := thingIn(kind, jc.After)
			if err != nil {
				return nil, err
			}
			if was == is {
				continue
			}
			if is != "" {
				for _, in := range inside[is] {
					if in.node != here.node {
						found = append(found, nesting{here.node, in.node, here.at, in.at, "has something in the " + is})
					}
				}
			}
			for dir := range dirsOf(was) {
				if d, gone := deleted[dir]; gone && d.node != here.node {
					found = append(found, nesting{here.node, d.node, here.at, d.at, "deleted the " + dir})
				}
			}
			if is != "" && !known[is] { // what came to be of it later counts, if anything did
				known[is] = true
				for dir := range dirsOf(is) {
					if in := inside[dir]; len(in) == 0 || in[len(in)-1] != here {
						inside[dir] = append(in, here)
					}
				}
			}
			if was != "" && !known[was] {
				known[was], deleted[was] = true, here
			}
		}
	}
	return found, nil
}

// tied are the nodes that have to go back with others.
func (all nestings) tied(from map[state.NodeAddr]state.Step) []tie {
	var ties []tie
	for _, n := range all {
		if at, in := from[n.node]; in && n.at.Compare(at) >= 0 {
			ties = append(ties, tie{n.with, n.later, n.why})
		}
	}
	return ties
}

// thingIn is the thing on the host that a recorded object is; empty when it is none.
func thingIn(kind *state.Kind, raw []byte) (string, error) {
	o, err := kind.Decode(raw)
	if t, ok := o.(state.Thing); ok && err == nil {
		return t.Thing(), nil
	}
	return "", err
}

// dirsOf are the things that a thing may stand in, as its name tells, the nearest first.
func dirsOf(thing string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := strings.LastIndexByte(thing, '/'); at > 0 && yield(thing[:at]); {
			thing = thing[:at]
			at = strings.LastIndexByte(thing, '/')
		}
	}
}
