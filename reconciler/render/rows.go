package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// Changes writes changes with their full addresses, of each sort so many, as a plan lists those of a node.
func Changes(w io.Writer, changes []state.Change, o Options) error {
	t := &text{o: o, plan: &state.Plan{}}
	if err := t.changes(changes, true); err != nil {
		return fmt.Errorf("cannot show the changes: %w", err)
	}
	return write(w, t.Bytes())
}

// Differing says on one line how a change's attributes differ; of texts of several lines only that they do.
func Differing(c state.Change, o Options) (string, error) {
	differences, err := c.Differences(o.Key)
	if err != nil {
		return "", fmt.Errorf("cannot show the change: %w", err)
	}
	t := &text{o: o}
	var parts []string
	for _, d := range differences {
		what, _ := t.differences([]state.Difference{d})
		parts = append(parts, what)
	}
	return strings.Join(parts, ", "), nil
}

// Node writes a node's line with a note, and below it its changes, as a plan does.
func Node(w io.Writer, addr state.NodeAddr, note string, changes []state.Change, o Options) error {
	t := &text{o: o, plan: &state.Plan{}}
	t.line(columns("  ", t.clean(addr.String()), nodeWidth) + t.clean(note))
	if err := t.changes(changes, false); err != nil {
		return fmt.Errorf("cannot show the changes: %w", err)
	}
	return write(w, t.Bytes())
}

// Attributes are an object's attributes, a line each, those that are sensitive masked; what is not set is left out.
func Attributes(object state.Object, sensitive []string, o Options) ([]string, error) {
	attrs, err := state.Attributes(object, sensitive, o.Key)
	if err != nil {
		return nil, err
	}
	t := &text{o: o}
	var lines []string
	for _, a := range attrs {
		if a.Sensitive || !unset(a.Value) {
			lines = append(lines, t.clean(a.Name)+" "+t.attribute(a, o.Verbose))
		}
	}
	return lines, nil
}
