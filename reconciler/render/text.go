package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/opdbus/opdbus/state"
)

// The columns of a plan: where what is said of an object and of a node begins, if what is before it is not longer.
const (
	nodeWidth   = 44
	objectWidth = 26
	widestKey   = 56
	valueWidth  = 28
)

// Text writes a plan for people.
func Text(w io.Writer, p *state.Plan, o Options) error {
	t := &text{o: o, plan: p}
	if err := t.write(); err != nil {
		return fmt.Errorf("cannot show the plan: %w", err)
	}
	return write(w, t.Bytes())
}

// text is a plan's text while it is written.
type text struct {
	bytes.Buffer
	o    Options
	plan *state.Plan
}

func (t *text) write() error {
	left := unhandled(t.plan)
	switch {
	case t.plan.Empty() && t.plan.Rollback != "":
		t.line("No changes. There is nothing to be taken back.")
	case t.plan.Empty() && len(left) == 0:
		t.line("No changes. The host matches the configuration.")
	case t.plan.Empty():
		t.line("No changes.")
	default:
		t.line(t.paint(bold, t.header()))
		t.line("")
	}
	for _, n := range t.plan.Nodes {
		if err := t.node(n); err != nil {
			return err
		}
	}
	if t.plan.Empty() && len(t.plan.Skipped) > 0 {
		t.line("")
	}
	for _, s := range t.plan.Skipped {
		t.line(columns("  ", t.clean(s.Addr.String()), nodeWidth) + "skipped: " + t.clean(s.Reason))
	}
	if len(left) > 0 {
		t.line("")
		t.line("Drift that is left as it is:")
		if err := t.changes(left, true); err != nil {
			return err
		}
	}
	if !t.plan.Empty() && len(t.plan.Triggers) > 0 {
		t.line("")
		for _, g := range t.plan.Triggers {
			t.line("  " + t.symbol(state.Fire) + " " + t.clean(g.Addr.String()) + "  " + does(g.Trigger) + " afterwards  " + t.paint(cyan, "(for "+t.clean(names(g.By))+")"))
		}
	}
	if !t.plan.Empty() {
		digest, err := t.plan.Digest(t.o.Key)
		if err != nil {
			return err
		}
		t.line("")
		if set := t.plan.Retention.Subvolumes; len(set) > 0 {
			t.line("Snapshotted before and after it, as one set: " + t.clean(strings.Join(set, ", ")) + ".")
		}
		t.legend()
		t.line(t.paint(bold, count(t.plan).String()))
		t.line("Digest: " + digest)
	}
	return t.outputs()
}

// unhandled is the drift that the plan does nothing about.
func unhandled(p *state.Plan) []state.Change {
	if len(p.Drifted) == 0 {
		return nil
	}
	planned := map[state.Addr]bool{}
	for _, n := range p.Nodes {
		for _, c := range n.Changes {
			planned[c.Addr] = true
		}
	}
	var left []state.Change
	for _, c := range p.Drifted {
		if !planned[c.Addr] {
			left = append(left, c)
		}
	}
	return left
}

func (t *text) header() string {
	does := "change"
	if t.plan.Rollback != "" {
		does = "take back"
	}
	s := fmt.Sprintf("opdbus will %s %s (%s unchanged)", does, Count(len(t.plan.Nodes), "node"), number(t.plan.Unchanged))
	host := t.plan.Hostname
	if host == "" {
		host = t.plan.Host
	}
	if host != "" {
		s += " on host " + t.clean(host)
	}
	if t.plan.Rollback != "" {
		s += ", " + t.clean(t.plan.Rollback)
	}
	if t.plan.Commit != "" {
		s += ", from commit " + t.clean(short(t.plan.Commit))
	}
	return s + "."
}

// short is a commit as people quote it: its first seven digits, and what follows the digits, such as -dirty.
func short(commit string) string {
	digits := len(commit) - len(strings.TrimLeft(commit, "0123456789abcdef"))
	if digits <= 7 {
		return commit
	}
	return commit[:7] + commit[digits:]
}

// node writes a node's line and its changes.
func (t *text) node(n *state.NodePlan) error {
	var notes []string
	if n.Delete {
		notes = append(notes, "removed with its subvolume")
	}
	if n.Back != nil {
		notes = append(notes, "takes back "+runs(n.Back))
	}
	if n.TakesBack != "" {
		phases := n.Snapshots()
		what := "snapshots "
		if len(phases) == 1 {
			what = "snapshot "
		}
		notes = append(notes, what+strings.Join(phases, ", "))
		if why, never := strings.CutPrefix(n.TakesBack, "not at all: "); never {
			notes = append(notes, t.paint(red, "cannot be taken back: "+t.clean(why)))
		} else {
			notes = append(notes, "taken back by "+t.clean(n.TakesBack))
		}
	}
	for _, e := range n.Endangers {
		notes = append(notes, t.paint(red, t.clean(e)))
	}
	for i, d := range n.Disturbs {
		if i == 3 && len(n.Disturbs) > 4 && !t.o.Verbose {
			notes = append(notes, fmt.Sprintf("and %s more like that", number(len(n.Disturbs)-i)))
			break
		}
		notes = append(notes, t.paint(yellow, t.clean(d)))
	}
	head := t.clean(n.Addr.String())
	if len(notes) > 0 {
		head = columns("  ", head, nodeWidth) + strings.Join(notes, t.glyph(" · ", "; "))
	} else {
		head = "  " + head
	}
	t.line(head)
	return t.changes(n.Changes, false)
}

func (t *text) outputs() error {
	if len(t.plan.Outputs) == 0 {
		return nil
	}
	t.line("")
	t.line("Outputs:")
	for _, o := range t.plan.Outputs {
		value := "(sensitive)"
		if !o.Sensitive {
			v, err := state.MaskedValue(o.Value, false, nil)
			if err != nil {
				return fmt.Errorf("output %s: %w", o.Name, err)
			}
			value = t.value(v, true)
		}
		t.line("  " + t.clean(o.Name) + " = " + value)
	}
	return nil
}

// legend says the words for the symbols in a plan that is shown with everything.
func (t *text) legend() {
	if !t.o.Verbose {
		return
	}
	used := map[state.Action]bool{}
	for _, n := range t.plan.Nodes {
		for _, c := range n.Changes {
			used[c.Action()] = true
		}
	}
	var words []string
	for _, w := range []struct {
		action state.Action
		word   string
	}{
		{state.Create, "create"}, {state.Update, "update in place"}, {state.Delete, "delete"},
		{state.Replace, "delete and create again"}, {state.Adopt, "manage from now on"}, {state.Forget, "manage no longer"}, {state.Fire, "restart or reload"},
	} {
		if used[w.action] {
			words = append(words, t.symbol(w.action)+" "+w.word)
		}
	}
	t.line(strings.Join(words, ", "))
}

func (t *text) clean(s string) string { return clean(s, t.o.ASCII) }

func (t *text) glyph(s, ascii string) string {
	if t.o.ASCII {
		return ascii
	}
	return s
}

func (t *text) line(s string) {
	t.WriteString(strings.TrimRight(s, " "))
	t.WriteByte('\n')
}

// columns is s after an indent and filled up to a width, with at least two spaces after it.
func columns(indent, s string, width int) string {
	return indent + s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)+2)
}

// Colours of the terminal's own palette, so that they suit its background.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (t *text) paint(color, s string) string {
	if !t.o.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (t *text) symbol(a state.Action) string {
	switch a {
	case state.Create:
		return t.paint(green, string(a))
	case state.Update:
		return t.paint(yellow, string(a))
	case state.Delete, state.Replace:
		return t.paint(red, string(a))
	}
	return t.paint(cyan, string(a))
}

// runs names the runs whose steps are taken back.
func runs(b *state.Back) string {
	var names []string
	for i := len(b.Steps) - 1; i >= 0; i-- {
		if name := fmt.Sprint(b.Steps[i].Run); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return "run " + names[0]
	}
	return "runs " + strings.Join(names, ", ")
}
