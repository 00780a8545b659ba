// Package planfile keeps a plan in a file: with all that applying it needs, sealed for the host that it was made for, and
// with what may be shown of it, which anybody can read. docs/saved-plans.md describes the file.
//
// It imports state, state/durable and the standard library.
package planfile
