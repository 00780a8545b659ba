package cli

import "runtime"

// onFirstCollection calls f when the garbage collector has run for the first time.
func onFirstCollection(f func()) {
	type sentinel struct{ _ [16]byte }
	runtime.AddCleanup(new(sentinel), func(f func()) { f() }, f)
}
