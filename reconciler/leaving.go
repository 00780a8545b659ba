package reconciler

import (
	"fmt"
	"strings"

	"github.com/opdbus/opdbus/state"
)

// leaving are the things on the host that owned objects give up in a plan, and which objects those are: they are deleted, or they
// move on. Another object cannot come to such a thing in the same plan. What stands there is not somebody else's, to be kept aside
// or left alone for ever, nor is it there any more when the plan has been applied.
func leaving(items []*item) map[string]*item {
	things := map[string]*item{}
	for _, it := range items {
		if it.made == nil || it.live == nil || it.forget {
			continue
		}
		if made, ok := it.made.(state.Thing); ok && (it.want == nil || it.moves()) {
			things[made.Thing()] = it
		}
	}
	return things
}

// taken says that what an item wants is still another's, which gives it up in this plan; nil when it is not.
func (it *item) taken(leaving map[string]*item) error {
	if len(leaving) == 0 || it.want == nil {
		return nil
	}
	t, ok := it.want.(state.Thing)
	if !ok {
		return nil
	}
	from := leaving[t.Thing()]
	if from == nil || from == it {
		return nil
	}
	becomes := "goes"
	if from.want != nil {
		becomes = "moves away from it"
	}
	return fmt.Errorf("the %s is that of %s, which %s in this plan: one plan cannot give it to another as well. Apply the one first and then the other, or give %s its own new name", t.Thing(), from.addr, becomes, it.addr.Local())
}

// sentence makes an error's text begin like a sentence.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
