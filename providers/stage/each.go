package stage

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// chunk is how many of many things a worker takes at once; neighbours are mostly in one directory.
const chunk = 256

// each does n things side by side, in chunks. A worker stops at its first error, and all of them when the context ends.
func each(ctx context.Context, n int, do func(from, to int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, min(runtime.GOMAXPROCS(0), (n+chunk-1)/chunk))
	for w := range errs {
		wg.Go(func() {
			for !failed.Load() {
				from := int(next.Add(chunk)) - chunk
				if from >= n {
					return
				}
				if errs[w] = ctx.Err(); errs[w] == nil {
					errs[w] = do(from, min(from+chunk, n))
				}
				if errs[w] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
