package graph

import (
	"context"
	"errors"
)

// Walk visits every key after all that it needs, at most parallelism at once and at least one. Keys that are ready start
// in the order of Sort. After the first failure or the end of ctx no new visit starts; those that run are waited for, and
// their context is the one given. The errors come joined, in the order of Sort; that of ctx is among them when ctx is
// why keys were left out. With a cycle nothing is visited and the error is a *CycleError[K].
func (g *Graph[K]) Walk(ctx context.Context, parallelism int, visit func(ctx context.Context, k K) error) error {
	order, err := g.sort()
	if err != nil {
		return err
	}
	ready := &queue{rank: inverse(order)}
	missing := make([]int, len(g.keys))
	for _, i := range order {
		if missing[i] = len(g.needs[i]); missing[i] == 0 {
			ready.push(i)
		}
	}
	type result struct {
		place int
		err   error
	}
	var (
		results = make(chan result)
		errs    = make([]error, len(g.keys)+1) // by position in the order; the last is that of ctx
		running int
		failed  bool
	)
	for {
		for !failed && ready.Len() > 0 && running < max(parallelism, 1) {
			if err := ctx.Err(); err != nil {
				errs[len(g.keys)], failed = err, true
				break
			}
			i := ready.pop()
			running++
			go func() { results <- result{i, visit(ctx, g.keys[i])} }()
		}
		if running == 0 {
			return errors.Join(errs...)
		}
		r := <-results
		running--
		if r.err != nil {
			errs[ready.rank[r.place]], failed = r.err, true
			continue
		}
		for _, j := range g.neededBy[r.place] {
			if missing[j]--; missing[j] == 0 {
				ready.push(j)
			}
		}
	}
}
