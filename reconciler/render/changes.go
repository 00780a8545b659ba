package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/opdbus/opdbus/state"
)

// shown is how many changes of a sort are listed of each node; a plan of 10,000 links is to be read by a person.
const shown = 10

// A group is what changes have in common that need not all be listed.
type group struct {
	kind   string
	action state.Action
	cause  state.Cause
	moved  bool
}

// changes lists changes, of each group so many. With full addresses they are not below their node's line.
func (t *text) changes(changes []state.Change, full bool) error {
	total := map[group]int{}
	for i := range changes {
		total[groupOf(&changes[i])]++
	}
	seen := map[group]int{}
	var rows []*state.Change
	var more []string // what follows a row
	for i := range changes {
		c := &changes[i]
		g := groupOf(c)
		seen[g]++
		if total[g] <= shown+1 || t.o.Verbose || seen[g] <= shown {
			rows, more = append(rows, c), append(more, "")
			continue
		}
		if seen[g] == total[g] {
			rows, more = append(rows, nil), append(more, t.more(g, total[g]-shown))
		}
	}
	width := objectWidth
	for _, c := range rows {
		if c != nil {
			width = max(width, min(utf8.RuneCountInString(t.name(c, full)), widestKey))
		}
	}
	for i, c := range rows {
		if c == nil {
			t.line("      " + more[i])
			continue
		}
		if err := t.change(c, t.name(c, full), width); err != nil {
			return err
		}
	}
	return nil
}

// names are addresses in a sentence; of many the first ones.
func names(addrs []state.Addr) string {
	const most = 3
	var list []string
	for _, a := range addrs[:min(len(addrs), most)] {
		list = append(list, a.String())
	}
	if more := len(addrs) - most; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}

func groupOf(c *state.Change) group {
	return group{c.Addr.Kind, c.Action(), c.Cause, c.MadeAt != (state.Addr{})}
}

func (t *text) name(c *state.Change, full bool) string {
	if full {
		return t.clean(c.Addr.String())
	}
	return t.clean(c.Addr.Local())
}

func (t *text) more(g group, n int) string {
	done := map[state.Action]string{
		state.Create: "created", state.Update: "updated", state.Delete: "deleted", state.Replace: "deleted and created again",
		state.Adopt: "managed from now on", state.Forget: "managed no longer", state.Fire: "fired",
	}[g.action]
	if g.action == state.Adopt && g.moved {
		done = "moved"
	}
	cause := ""
	if g.cause != "" && g.cause != state.CauseConfig {
		cause = " (" + string(g.cause) + ")"
	}
	return fmt.Sprintf("%s and %s more %s %s%s (--verbose lists all)", t.glyph("…", "..."), number(n), t.clean(g.kind), done, cause)
}

// change writes one change: the symbol, the object, what becomes of it, and what is to be known besides.
func (t *text) change(c *state.Change, name string, width int) error {
	what, below, err := t.describe(c)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Addr, err)
	}
	action := c.Action()
	line := strings.Repeat(" ", 5-len(action)) + t.symbol(action) + " " + columns("", name, width)
	aside := t.aside(c)
	if aside != "" {
		what = columns("", what, valueWidth)
	}
	t.line(line + what + aside)
	for _, l := range below {
		t.line("        " + l)
	}
	return nil
}

// aside is what stands in parentheses after a change: why there is one, unless the configuration wants it, and notes.
func (t *text) aside(c *state.Change) string {
	var parts []string
	if c.Cause != "" && c.Cause != state.CauseConfig {
		parts = append(parts, string(c.Cause))
	}
	if c.Action() == state.Replace {
		parts = append(parts, "deleted and created again")
	}
	switch {
	case c.MadeAt != (state.Addr{}):
		parts = append(parts, "moved from "+t.clean(c.MadeAt.String()))
	case c.HandsTo != (state.Addr{}):
	case c.Action() == state.Adopt:
		parts = append(parts, "already so, managed from now on")
	}
	if c.HandsTo != (state.Addr{}) {
		parts = append(parts, "goes back to "+t.clean(c.HandsTo.String()))
	}
	switch {
	case c.Trigger == "":
	case c.Action() == state.Fire && c.TriggeredBy == nil:
	case c.Action() == state.Fire:
		parts = append(parts, "for "+t.clean(names(c.TriggeredBy)))
	default:
		parts = append(parts, does(c.Trigger))
	}
	if c.Note != "" {
		parts = append(parts, t.clean(c.Note))
	}
	s := ""
	if len(parts) > 0 {
		s = t.paint(cyan, "("+strings.Join(parts, "; ")+")")
	}
	if t.o.Verbose && !c.Source.IsZero() {
		s = strings.TrimLeft(fmt.Sprintf("%s  %s:%d", s, t.clean(c.Source.Relative(t.plan.Dir)), c.Source.Line), " ")
	}
	return s
}
