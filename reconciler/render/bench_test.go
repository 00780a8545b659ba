package render

import (
	"io"
	"testing"

	"github.com/opdbus/opdbus/state"
)

// BenchmarkRender writes a plan of 20,000 changes.
func BenchmarkRender(b *testing.B) {
	p := many(10_000)
	for _, f := range []struct {
		name  string
		write func(io.Writer, *state.Plan, Options) error
	}{{"text", Text}, {"json", JSON}} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				if err := f.write(io.Discard, p, Options{Kinds: kinds()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
