package bench

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	links   = 10_000
	repeats = 5
)

// BenchmarkPlanDynamic plans 10,000 links that one dynamic block declares and that are all as they should be, against
// lstat and readlink of the same links. The promise: at most 5 times that, in under 100 MB.
func BenchmarkPlanDynamic(b *testing.B) {
	w := newWorld(b)
	w.payload(links)
	w.dynamic()
	w.run("apply", "--auto-approve")
	for b.Loop() {
		loop := best(repeats, func() time.Duration { return w.read(links) })
		var most float64
		plan := best(repeats, func() time.Duration {
			u := w.run("plan")
			most = max(most, u.mib)
			return u.wall
		})
		report(b, plan, loop)
		b.ReportMetric(most, "MiB")
	}
}

// BenchmarkPlanLiteral plans 10,000 links declared by a block each, in one file, against parsing that file with hclparse, in a
// process that does nothing else, and lstat and readlink of the links. The promise: at most 1.5 times that.
func BenchmarkPlanLiteral(b *testing.B) {
	w := newWorld(b)
	w.literal(links, 1)
	benchmarkLiteral(b, w)
}

// BenchmarkPlanLiteralFiles is the same with the blocks in ten stages, each in a file of its own.
func BenchmarkPlanLiteralFiles(b *testing.B) {
	w := newWorld(b)
	w.literal(links, 10)
	benchmarkLiteral(b, w)
}

func benchmarkLiteral(b *testing.B, w *world) {
	w.run("apply", "--auto-approve")
	for b.Loop() {
		loop := best(repeats, func() time.Duration { return w.parse() + w.read(links) })
		plan := best(repeats, func() time.Duration { return w.run("plan").wall })
		report(b, plan, loop)
	}
}

// BenchmarkApply makes 10,000 links of staged files, against a loop of symlink and rename. The promise: at most 3 times that.
func BenchmarkApply(b *testing.B) {
	w := newWorld(b)
	w.payload(links)
	for b.Loop() {
		loop := best(repeats, func() time.Duration { return w.link(links) })
		apply := best(3, func() time.Duration {
			w.write("stage \"bench\" {\n  source = \"files\"\n}\n")
			w.run("apply", "--auto-approve") // the files are staged, no link is there
			w.dynamic()
			return w.run("apply", "--auto-approve").wall
		})
		report(b, apply, loop)
	}
}

// BenchmarkApplyFresh is the same with the files staged in the same run: three more system calls a file.
func BenchmarkApplyFresh(b *testing.B) {
	w := newWorld(b)
	w.payload(links)
	w.dynamic()
	for b.Loop() {
		loop := best(repeats, func() time.Duration { return w.link(links) })
		apply := best(3, func() time.Duration {
			took := w.run("apply", "--auto-approve").wall
			w.run("destroy", "--auto-approve")
			return took
		})
		report(b, apply, loop)
	}
}

// BenchmarkRollback takes back the run that made 10,000 links, and then that rollback, against a loop of symlink and rename.
func BenchmarkRollback(b *testing.B) {
	w := newWorld(b)
	w.payload(links)
	w.dynamic()
	w.run("apply", "--auto-approve")
	for b.Loop() {
		loop := best(repeats, func() time.Duration { return w.link(links) })
		again := time.Duration(1<<63 - 1)
		back := best(3, func() time.Duration {
			took := w.run("rollback", "--auto-approve", "bench").wall
			again = min(again, w.run("undo", "--auto-approve").wall)
			return took
		})
		report(b, back, loop)
		b.ReportMetric(float64(again)/float64(loop), "undo-x-loop")
	}
}

// BenchmarkScale prints what a link costs from 100 of them to 100,000: the cost of one must not grow with the number.
func BenchmarkScale(b *testing.B) {
	for b.Loop() {
		fmt.Printf("%10s %12s %12s %12s %12s %8s\n", "links", "apply", "a link", "plan", "a link", "MiB")
		for _, n := range []int{100, 1_000, 10_000, 100_000} {
			w := newWorld(b)
			w.payload(n)
			w.dynamic()
			apply := w.run("apply", "--auto-approve").wall
			var most float64
			plan := best(3, func() time.Duration {
				u := w.run("plan")
				most = max(most, u.mib)
				return u.wall
			})
			each := func(d time.Duration) time.Duration { return (d / time.Duration(n)).Round(100 * time.Nanosecond) }
			fmt.Printf("%10d %12s %12s %12s %12s %8.0f\n", n, apply.Round(time.Millisecond), each(apply), plan.Round(time.Millisecond), each(plan), most)
		}
	}
}

// BenchmarkVersion starts the program, against starting /bin/true. The promise: under 20 ms.
func BenchmarkVersion(b *testing.B) {
	opdbus, err := binary()
	require.NoError(b, err)
	start := func(argv ...string) time.Duration {
		return best(20, func() time.Duration {
			start := time.Now()
			require.NoError(b, exec.Command(argv[0], argv[1:]...).Run())
			return time.Since(start)
		})
	}
	for b.Loop() {
		report(b, start(opdbus, "version"), start("/bin/true"))
	}
}

func report(b *testing.B, took, loop time.Duration) {
	b.ReportMetric(float64(took)/float64(loop), "x-loop")
	b.ReportMetric(float64(took.Microseconds())/1000, "ms")
	b.ReportMetric(float64(loop.Microseconds())/1000, "loop-ms")
}
