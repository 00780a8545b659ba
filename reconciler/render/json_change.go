package render

import (
	"fmt"

	"github.com/opdbus/opdbus/state"
)

type resourceChange struct {
	resource
	PreviousAddress string     `json:"previous_address,omitempty"`
	Change          changeJSON `json:"change"`
	ActionReason    string     `json:"action_reason,omitempty"`
}

// The members after Before and After are maps for an object, booleans for what is absent and for outputs, as Terraform's.
type changeJSON struct {
	Actions         []string       `json:"actions"`
	Before          any            `json:"before"`
	After           any            `json:"after"`
	AfterUnknown    any            `json:"after_unknown"`
	BeforeSensitive any            `json:"before_sensitive"`
	AfterSensitive  any            `json:"after_sensitive"`
	Importing       *importingJSON `json:"importing,omitempty"`
	ReplacePaths    [][]string     `json:"replace_paths,omitempty"`
}

type importingJSON struct {
	ID string `json:"id"`
}

func (d *document) resourceChange(c *state.Change) (resourceChange, error) {
	out := resourceChange{resource: d.resource(c.Addr)}
	fail := func(err error) (resourceChange, error) { return out, fmt.Errorf("%s: %w", c.Addr, err) }
	if c.MadeAt != (state.Addr{}) {
		out.PreviousAddress = c.MadeAt.String()
	}
	after := c.After
	if c.Forget {
		after = nil
	}
	out.Change = changeJSON{AfterUnknown: false, BeforeSensitive: false, AfterSensitive: false}
	var err error
	if c.Before != nil {
		if out.Change.Before, out.Change.BeforeSensitive, err = d.object(c.Before, c.Sensitive); err != nil {
			return fail(err)
		}
	}
	if after != nil {
		out.Change.AfterUnknown = struct{}{}
		if out.Change.After, out.Change.AfterSensitive, err = d.object(after, c.Sensitive); err != nil {
			return fail(err)
		}
	}
	switch c.Action() {
	case state.Create:
		out.Change.Actions = []string{"create"}
	case state.Update, state.Fire:
		out.Change.Actions = []string{"update"}
	case state.Delete:
		out.Change.Actions, out.ActionReason = []string{"delete"}, d.whyDeleted(c.Addr)
	case state.Forget:
		out.Change.Actions = []string{"forget"}
	case state.Replace:
		out.Change.Actions = []string{"delete", "create"}
		if err := d.whyReplaced(c, &out); err != nil {
			return fail(err)
		}
	default:
		out.Change.Actions = []string{"no-op"}
		if c.Action() == state.Adopt && out.PreviousAddress == "" {
			out.Change.Importing = &importingJSON{ID: c.Addr.Key}
		}
	}
	return out, nil
}

// whyDeleted tells apart, in Terraform's words, that nobody declares an object any more, that its node's instance is gone
// from for_each, and that everything is destroyed, for which there is no word.
func (d *document) whyDeleted(a state.Addr) string {
	switch n := a.Node; {
	case d.wanted[a]:
		return ""
	case n.Key != "" && !d.wanted[state.Addr{Node: n}] && d.blocks[state.NodeAddr{Type: n.Type, Name: n.Name}]:
		return "delete_because_each_key"
	}
	return "delete_because_no_resource_config"
}

func (d *document) whyReplaced(c *state.Change, out *resourceChange) error {
	ds, err := c.Differences(d.o.Key)
	for _, diff := range ds {
		out.Change.ReplacePaths = append(out.Change.ReplacePaths, []string{diff.Name})
	}
	switch {
	case c.Cause == state.CauseTrigger:
		out.ActionReason = "replace_by_triggers"
	case len(ds) == 0:
		out.ActionReason = "replace_by_request"
	default:
		out.ActionReason = "replace_because_cannot_update"
	}
	return err
}
