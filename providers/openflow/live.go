package openflow

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opdbus/opdbus/providers/internal/ofctl"
	"github.com/opdbus/opdbus/state"
)

// flows is the provider of flows.
type flows struct{ *vswitch }

// Live says that flows are a state of a running switch, for state.Live.
func (*flows) Live() {}

// Read reads one.
func (p *flows) Read(ctx context.Context, want Flow) (*Flow, error) {
	lives, err := p.ReadAll(ctx, []state.Item[Flow]{{Want: want}})
	if err != nil {
		return nil, err
	}
	return lives[0], nil
}

// ReadAll reads all by one dump a bridge. A flow of opdbus' is known by its cookie, and one of somebody else's by the place where it is in
// the way.
func (p *flows) ReadAll(ctx context.Context, items []state.Item[Flow]) ([]*Flow, error) {
	known, err := p.bridges(ctx)
	if err != nil {
		return nil, err
	}
	lives := make([]*Flow, len(items))
	at := map[string][]int{}
	for i, it := range items {
		if _, there := known[it.Want.Bridge]; there {
			at[it.Want.Bridge] = append(at[it.Want.Bridge], i)
		}
	}
	for name, which := range at {
		wants := make([]Flow, len(which))
		for i, n := range which {
			wants[i] = items[n].Want
		}
		found, err := p.find(ctx, known[name], wants)
		if err != nil {
			return nil, err
		}
		for i, n := range which {
			lives[n] = found[i]
		}
	}
	return lives, nil
}

// find finds a bridge's flows.
func (p *flows) find(ctx context.Context, b bridge, wants []Flow) ([]*Flow, error) {
	there, err := p.dump(ctx, b)
	if err != nil {
		return nil, err
	}
	byCookie, byPlace := make(map[uint64][]onSwitch, len(there)), make(map[place]onSwitch, len(there))
	for _, f := range there {
		byCookie[f.cookie], byPlace[f.place()] = append(byCookie[f.cookie], f), f
	}
	whole := make([]Flow, 0, len(wants)) // those whose ports are all there
	for _, w := range wants {
		if b.lacks(w) == "" {
			whole = append(whole, w)
		}
	}
	parsed, err := p.parse(ctx, b, whole)
	if err != nil {
		return nil, err
	}
	names := b.names()
	lives := make([]*Flow, len(wants))
	for i, w := range wants {
		own := byCookie[w.cookie()]
		if len(whole) == 0 || whole[0].Name != w.Name {
			if len(own) > 0 {
				lives[i] = w.seen(own[0], names)
			}
			continue
		}
		canonical := parsed[0]
		whole, parsed = whole[1:], parsed[1:]
		inPlace, is := byPlace[canonical.place()]
		switch {
		case is && inPlace.cookie == canonical.cookie && inPlace.actions == canonical.actions && inPlace.idle == canonical.idle && inPlace.hard == canonical.hard:
			live := w
			live.takes = false
			lives[i] = &live
		case is && inPlace.isDefault():
			// It gives way, and comes back.
		case is && inPlace.cookie == canonical.cookie || is && len(own) == 0:
			lives[i] = w.seen(inPlace, names)
		case len(own) > 0:
			lives[i] = w.seen(own[0], names)
			if is {
				lives[i].blocked = inPlace.text
			}
		}
	}
	return lives, nil
}

// seen is a flow on the switch that stands for the one that is wanted.
func (f Flow) seen(on onSwitch, names func(string) string) *Flow {
	live := on.described(f.Bridge, names)
	live.Name, live.CookieNote, live.Found = f.Name, f.CookieNote, f.Found
	return &live
}

// names gives the names of ports by their numbers.
func (b bridge) names() func(string) string {
	names := make(map[string]string, len(b.ports))
	for name, number := range b.ports {
		names[number] = name
	}
	return func(number string) string { return cmp.Or(names[number], number) }
}

// List is all flows of all bridges; none where there is no switch.
func (p *flows) List(ctx context.Context) ([]Flow, error) {
	known, err := p.bridges(ctx)
	if err != nil {
		return nil, err
	}
	var all []Flow
	for _, name := range slices.Sorted(maps.Keys(known)) {
		there, err := p.dump(ctx, known[name])
		if err != nil {
			return nil, err
		}
		for _, f := range there {
			all = append(all, f.described(name, known[name].names()))
		}
	}
	return all, nil
}

// Owns says whether the flow has opdbus' cookie.
func (*flows) Owns(made *Flow, live Flow) bool { return made != nil && live.Theirs == "" }

// Claim stands in the place of a flow of somebody else's where the bridge is opdbus' alone, or where it does the same. It comes back when opdbus' goes.
func (*flows) Claim(want, live Flow) (Flow, error) {
	if !want.takes && live.Theirs != "" && !slices.EqualFunc(want.Actions, live.Actions, strings.EqualFold) {
		return want, conflict(want, live.Theirs)
	}
	want.Found = live.Theirs
	return want, nil
}

func conflict(want Flow, text string) error {
	return fmt.Errorf("bridge %s has a flow in this place already, which opdbus did not make: %s; take it away first, or give yours another priority. With exclusive = true the bridge is opdbus' alone", want.Bridge, text)
}

// PlanAll keeps what was found, and finds what is in the way.
func (*flows) PlanAll(_ context.Context, items []state.Planned[Flow]) error {
	for i, it := range items {
		switch {
		case it.Want == nil:
			continue
		case it.Live != nil && it.Live.blocked != "":
			if on, _ := parseDumped(it.Live.blocked); !on.ours() {
				if !it.Want.takes {
					return conflict(*it.Want, it.Live.blocked)
				}
				items[i].Want.Found = it.Live.blocked
			}
		case it.Made != nil && fmt.Sprint(it.Made.Table, it.Made.Priority, it.Made.Match) == fmt.Sprint(it.Want.Table, it.Want.Priority, it.Want.Match):
			items[i].Want.Found = it.Made.Found
		}
	}
	return nil
}

// Apply makes one change.
func (p *flows) Apply(ctx context.Context, before, after *Flow) error {
	return p.ApplyAll(ctx, state.Site{}, []state.ChangeOf[Flow]{{Before: before, After: after}})
}

// ApplyAll makes all changes of a bridge in one bundle: no packet sees some of them.
func (p *flows) ApplyAll(ctx context.Context, _ state.Site, changes []state.ChangeOf[Flow]) error {
	ask := p.bridges // what only goes has gone with the switch
	if slices.ContainsFunc(changes, func(c state.ChangeOf[Flow]) bool { return c.After != nil }) {
		ask = p.running
	}
	known, err := ask(ctx)
	if err != nil {
		return err
	}
	gone, come := map[string]*bytes.Buffer{}, map[string]*bytes.Buffer{}
	add := func(to map[string]*bytes.Buffer, bridge, format string, args ...any) {
		if to[bridge] == nil {
			to[bridge] = &bytes.Buffer{}
		}
		fmt.Fprintf(to[bridge], format+"\n", args...)
	}
	for _, c := range changes {
		if f := c.After; f != nil {
			b, there := known[f.Bridge]
			if !there {
				return fmt.Errorf("cannot make flow %q: there is no bridge %s in Open vSwitch; a network block declares one", f.Name, f.Bridge)
			}
			if name := b.lacks(*f); name != "" {
				return fmt.Errorf("cannot make flow %q: bridge %s has no port %s", f.Name, f.Bridge, name)
			}
			if f.Theirs != "" { // what was found, which goes back
				add(come, f.Bridge, "add %s", f.Theirs)
			} else {
				add(come, f.Bridge, "add %s", f.line(b.number))
			}
		}
		before := c.Before
		if before == nil || known[before.Bridge].name == "" {
			continue
		}
		b := known[before.Bridge]
		if c.After != nil && b.lacks(*c.After) == "" && c.After.place(b.number) == before.place(b.number) && c.After.Bridge == before.Bridge {
			continue // it is overwritten
		}
		switch {
		case before.Theirs != "":
		case b.lacks(*before) != "":
			add(gone, before.Bridge, "delete cookie=%#x/-1", before.cookie())
		default: // so it is found without looking at all of them
			add(gone, before.Bridge, "delete_strict cookie=%#x/-1,%s", before.cookie(), before.place(b.number))
		}
		switch {
		case before.Found != "":
			add(come, before.Bridge, "add %s", before.Found)
		case b.standalone && before.Table == 0 && before.Priority == 0 && len(before.Match) == 0:
			add(come, before.Bridge, "add priority=0,actions=NORMAL")
		}
	}
	names := map[string]bool{}
	for _, of := range []map[string]*bytes.Buffer{gone, come} {
		for name := range of {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		input := ""
		for _, of := range []map[string]*bytes.Buffer{gone, come} {
			if of[name] != nil {
				input += of[name].String()
			}
		}
		if err := p.bundle(ctx, known[name], input, come[name] == nil); err != nil {
			return err
		}
	}
	return nil
}

// bundle has a bridge's changes carried out, all or none. Where nothing serves the bridge there are no flows that could go.
func (s *vswitch) bundle(ctx context.Context, b bridge, input string, onlyGone bool) error {
	_, err := s.ofctl(ctx, b, input, "--bundle", "add-flows", ofctl.Bridge, "-")
	if onlyGone && errors.Is(err, ofctl.ErrNotServed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot change the flows of bridge %s: %w%s", b.name, err, lineOf(input, err.Error()))
	}
	return nil
}

// lineOf is the line of what was read that ovs-ofctl(8) complains of by its number.
func lineOf(input, said string) string {
	_, rest, _ := strings.Cut(said, "ovs-ofctl: -:")
	number, _, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(number)
	lines := strings.Split(input, "\n")
	if err != nil || n < 1 || n > len(lines) {
		return ""
	}
	return ": " + lines[n-1]
}

// isForeign says whether a flow is somebody else's. The one that a switch puts in by itself is nobody's: it comes back with the daemon.
func isForeign(f onSwitch) bool { return !f.ours() && !f.isDefault() }

// foreign are the flows of a bridge that are somebody else's.
func foreign(all []onSwitch) []string {
	var texts []string
	for _, f := range all {
		if isForeign(f) {
			texts = append(texts, strings.TrimSpace(f.text))
		}
	}
	slices.Sort(texts)
	return texts
}

// Volatile says that flows go with ovs-vswitchd, for state.Volatile.
func (*flows) Volatile() {}
