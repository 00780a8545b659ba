package reconciler

import (
	"context"
	"fmt"
	"slices"

	"github.com/opdbus/opdbus/state"
)

// Endanger finds out what of a plan could cut the connection over which opdbus was started, and writes it into the plan. It changes nothing on
// the host.
func (r *Reconciler) Endanger(ctx context.Context, plan *state.Plan) error {
	for _, np := range plan.Nodes {
		np.Endangers = nil
		for _, c := range np.Changes {
			k := r.Kinds.For(c.Addr)
			if act := c.Action(); r.leftOut(k) || act == state.None || act == state.Adopt || act == state.Forget {
				continue
			}
			how, err := k.Endangers(ctx, c)
			if err != nil {
				return fmt.Errorf("cannot tell what carries your connection: %w", err)
			}
			if how = c.Addr.Local() + " " + how; how != c.Addr.Local()+" " && !slices.Contains(np.Endangers, how) {
				np.Endangers = append(np.Endangers, how)
			}
		}
	}
	return nil
}
