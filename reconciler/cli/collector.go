package cli

import (
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// tuneCollector sets the garbage collector for a process that lives shortly: a collection costs more than memory that is let
// go of at the end anyway.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
}

// hugeHeap has the heap grow by huge pages (madvise(2), MADV_HUGEPAGE) where the kernel offers them. A plan of many objects
// fills tens of megabytes once and ends: faulting them in by pages of 4 KiB took more than half of its time. The runtime
// has no call for it, so a stretch of the heap is allocated, advised and let go of untouched, and what is allocated from
// then on comes out of it. A small plan touches little of it.
func hugeHeap() {
	const stretch = 128 << 20
	b := make([]byte, stretch)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // without it everything is as right, and slower
	runtime.KeepAlive(b)
	b = nil
	runtime.GC()
}
