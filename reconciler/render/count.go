package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/opdbus/opdbus/state"
)

// counts are the figures of a plan's summary.
type counts struct {
	adopt, move, add, change, destroy, forget int
	restarts, reloads, snapshots              int
}

func count(p *state.Plan) counts {
	var c counts
	var disturbs []string
	for _, n := range p.Nodes {
		c.snapshots += len(n.Snapshots())
		for _, ch := range n.Changes {
			switch ch.Action() {
			case state.Adopt:
				if ch.MadeAt != (state.Addr{}) {
					c.move++
				} else {
					c.adopt++
				}
			case state.Create:
				c.add++
			case state.Update:
				c.change++
			case state.Delete:
				c.destroy++
			case state.Replace:
				c.add++
				c.destroy++
			case state.Forget:
				c.forget++
			}
		}
		for _, d := range n.Disturbs {
			if slices.Contains(disturbs, d) {
				continue
			}
			disturbs = append(disturbs, d)
			switch {
			case strings.HasPrefix(d, "restarts "):
				c.restarts++
			case strings.HasPrefix(d, "reloads "):
				c.reloads++
			}
		}
	}
	if !p.Empty() {
		c.snapshots += 2 * len(p.Retention.Subvolumes)
	}
	for _, t := range p.Triggers {
		if t.Trigger == state.Restart {
			c.restarts++
		} else {
			c.reloads++
		}
	}
	return c
}

// String is the summary line. Scripts read it: its words do not change.
func (c counts) String() string {
	todo := []string{number(c.add) + " to add", number(c.change) + " to change", number(c.destroy) + " to destroy"}
	if c.adopt > 0 {
		todo = slices.Insert(todo, 0, number(c.adopt)+" to adopt")
	}
	if c.move > 0 {
		todo = append(todo, number(c.move)+" to move")
	}
	if c.forget > 0 {
		todo = append(todo, number(c.forget)+" to forget")
	}
	parts := []string{strings.Join(todo, ", ")}
	for _, p := range []struct {
		n    int
		what string
	}{{c.restarts, "restart"}, {c.reloads, "reload"}, {c.snapshots, "snapshot"}} {
		if p.n > 0 {
			parts = append(parts, Count(p.n, p.what))
		}
	}
	return "Plan: " + strings.Join(parts, "; ") + "."
}

// number is n with commas: 10,000.
func number(n int) string { return humanize.Comma(int64(n)) }

// Count says how many of something there are: 1 node, 10,000 nodes.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", number(n), what)
}

// Bytes is a size as people write it, in decimal units: 195 MB.
func Bytes(n int64) string {
	if n < 0 {
		return "-" + humanize.Bytes(uint64(-n))
	}
	return humanize.Bytes(uint64(n))
}
