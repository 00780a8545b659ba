package reconciler

import (
	"context"
	"time"

	"github.com/opdbus/opdbus/state"
)

// blame finds the objects that keep a kind from completing what is wanted, by having it complete each alone, and says so where they are
// declared. It is nil when none does by itself. A service that hangs is not asked again and again: then those that were found have to do.
func blame(ctx context.Context, kind *state.Kind, of []*item) error {
	const enough = 10 * time.Second
	began := time.Now()
	var found state.Diagnostics
	for _, it := range of {
		if it.settled() || it.declared == nil || it.want == nil {
			continue
		}
		if err := kind.Plan(ctx, []state.PlannedObject{{Addr: it.addr, Made: it.made, Live: it.live, Want: it.want}}); err != nil {
			found.Errorf(it.declared.Source, "Cannot plan "+it.addr.String(), "%s.", err)
		}
		if ctx.Err() != nil || time.Since(began) > enough {
			break
		}
	}
	if found == nil {
		return nil
	}
	return state.DiagnosticsError{Diagnostics: found}
}
